"""Golden values of ensembles, from PyTorch in float64: writes fixtures/ensembles.json.

    python test/golden/ensembles.py      # needs torch

Several models' distributions are mixed at every token, p(v) = sum_m w_m softmax(z_m / t)(v), from hidden states and heads, one of them with
a soft cap. top_k is over the union of the models' own top-k classes. Losses are means over rows; gradients by the student's logits come
from torch.autograd.
"""
import json
import math
import pathlib

import torch

ROWS, VOCAB, K = 4, 11, 3
WIDTHS, CAPS, SHARES, TEMPERATURE = [3, 5], [None, 1.5], [0.3, 0.7], 0.8
OUT = pathlib.Path(__file__).parent / "fixtures" / "ensembles.json"


def rows_of(models, hidden):
    out = []
    for state, head, cap in zip(hidden, models, CAPS):
        z = state @ head.T
        if cap is not None:
            z = cap * torch.tanh(z / cap)
        out.append(torch.log_softmax(z / TEMPERATURE, -1))
    return out


def mixture(log_ps):
    return torch.logsumexp(torch.stack([lp + math.log(w) for lp, w in zip(log_ps, SHARES)]), 0)


def top_of_union(log_ps, log_p):
    """K classes of the union of each model's top K, by the mixture, in falling order."""
    ids = []
    for n in range(ROWS):
        union = sorted({int(i) for lp in log_ps for i in lp[n].topk(K).indices})
        ids.append(sorted(union, key=lambda v: -float(log_p[n, v]))[:K])
    return torch.tensor(ids)


def binned(log_dist, ids):
    rest = log_dist.scatter(1, ids, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.cat([log_dist.gather(1, ids), rest], 1)


def kl(log_a, log_b):
    return (log_a.exp() * (log_a - log_b)).sum(-1)


def jsd(log_p, log_q):
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return 0.5 * kl(log_p, log_m) + 0.5 * kl(log_q, log_m)


DIVERGENCES = {"forward_kl": kl, "reverse_kl": lambda p, q: kl(q, p), "jsd": jsd}


def main():
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    f32 = lambda *shape: torch.randn(*shape).float().double()
    heads = [f32(VOCAB, d) for d in WIDTHS]
    hidden = [f32(ROWS, d) for d in WIDTHS]
    logits, labels = f32(ROWS, VOCAB), torch.randint(0, VOCAB, (ROWS,))
    log_ps = rows_of(heads, hidden)
    log_p = mixture(log_ps)
    ids = top_of_union(log_ps, log_p)
    losses = []
    for name, function in DIVERGENCES.items():
        for signal in ("full", "top_k"):
            z = logits.clone().requires_grad_()
            log_q = torch.log_softmax(z, -1)
            pair = (log_p, log_q) if signal == "full" else (binned(log_p, ids), binned(log_q, ids))
            loss = function(*pair).mean()
            (gradient,) = torch.autograd.grad(loss, z)
            losses.append({"divergence": name, "signal": signal, "loss": float(loss), "gradient": gradient.flatten().tolist()})
    flat = lambda x: x.flatten().tolist()
    classes = binned(log_p, ids)
    golden = {
        "rows": ROWS, "vocab": VOCAB, "k": K, "shares": SHARES, "caps": CAPS, "widths": WIDTHS, "temperature": TEMPERATURE,
        "heads": [flat(x) for x in heads], "hidden": [flat(x) for x in hidden], "models": [flat(x) for x in log_ps],
        "mixture": flat(log_p), "labels": labels.tolist(), "logits": flat(logits),
        "top": {"ids": flat(ids), "logprobs": flat(classes[:, :K]), "tail": flat(classes[:, K])},
        "losses": losses,
    }
    OUT.write_text(json.dumps(golden) + "\n")


main()
