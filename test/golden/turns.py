"""Golden losses of completions of several turns, from PyTorch: writes fixtures/turns.json.

    python test/golden/turns.py       # needs torch and transformers

The model of train.py. Each completion is the whole text behind the prompt with a mask of the writer's own tokens, as
trainers of several turns have it: divergence, normalisation, the teacher's rows and the policy gradient's are those of the masked
tokens alone, and all of the text is read.
"""
import json
import pathlib

import torch
from train import CONFIG, model, short

OUT = pathlib.Path(__file__).parent / "fixtures" / "turns.json"
# Prompt, then parts: (text, own?). A text with replies, one that is one turn, one whose turn is a single token.
SEQUENCES = [
    ([1, 5, 7], [([4, 9, 2], True), ([3, 8, 3, 5], False), ([12, 2], True), ([6], False), ([0, 10, 2], True)]),
    ([1, 6], [([8, 8, 2], True)]),
    ([1, 3, 3], [([2], True), ([7, 11, 5], False), ([9, 2], True)]),
]


def masked(net, prompt, parts):
    """log-probabilities [N, V] at the own tokens, and those tokens."""
    ids = prompt + [i for text, _ in parts for i in text]
    mask = torch.tensor([False] * len(prompt) + [own for text, own in parts for _ in text])
    log_q = net(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    return log_q[mask[1:]], torch.tensor(ids)[mask]


def replies(parts):
    at, out = 0, []
    for text, own in parts:
        if own:
            at += len(text)
        else:
            out.append({"at": at, "ids": text})
    return out


def losses(net, teacher, normalisation, kind):
    rows, weights = [], []
    for (prompt, parts), log_p, advantage in zip(SEQUENCES, teacher, [0.5, -0.25, 1.0]):
        log_q, own = masked(net, prompt, parts)
        if kind == "forward_kl":
            row = (log_p.exp() * (log_p - log_q)).sum(-1)
        else:  # reward alone: REINFORCE at ratio 1, the advantage of the sequence at each own token
            row = -advantage * (log_q[torch.arange(len(own)), own] - log_q[torch.arange(len(own)), own].detach()).exp()
        rows.append(row)
        weights.append(len(own))
    if normalisation == "token":
        return torch.cat(rows).sum() / sum(weights)
    return sum(row.mean() for row in rows) / len(rows)


def main():
    g = torch.Generator().manual_seed(4)
    net = model(1, True)
    # Else torch gives the pad token's embedding no gradient where it is read, and it is the end token here, which turns read.
    net.model.embed_tokens.padding_idx = None
    own = [sum(len(text) for text, mine in parts if mine) for _, parts in SEQUENCES]
    teacher = [(torch.randn(n, CONFIG["vocab_size"], generator=g) * 2).log_softmax(-1) for n in own]
    named = dict(net.named_parameters())
    cases = []
    for kind in ("forward_kl", "reward"):
        for normalisation in ("sequence", "token"):
            net.zero_grad()
            loss = losses(net, teacher, normalisation, kind)
            loss.backward()
            norm = torch.stack([p.grad.norm() for p in named.values()]).norm()
            cases.append({
                "kind": kind, "normalisation": normalisation, "loss": loss.item(), "gradientNorm": norm.item(),
                "gradients": {n: short(p.grad, 8) for n, p in named.items() if not cases or "layers.0.self_attn" in n},
            })
    with torch.no_grad():
        logprobs = [short(masked(net, p, parts)[0].gather(1, masked(net, p, parts)[1][:, None])) for p, parts in SEQUENCES]
    sequences = [
        {"prompt": p, "completion": [i for text, mine in parts if mine for i in text], "replies": replies(parts)} for p, parts in SEQUENCES
    ]
    result = {
        "source": f"PyTorch {torch.__version__.split('+')[0]}, float32, test/golden/turns.py; initial weights: train.json, tied",
        "sequences": sequences, "teacherLogprobs": [short(t) for t in teacher], "logprobs": logprobs, "cases": cases,
    }
    OUT.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(OUT.stat().st_size, "bytes", [(c["kind"], c["normalisation"], c["loss"]) for c in cases])


if __name__ == "__main__":
    main()
