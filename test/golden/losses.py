"""Golden values and gradients of every objective, from PyTorch in float64: writes fixtures/losses.json.

    python test/golden/losses.py      # needs torch; compares with TRL's generalized_jsd_loss if trl is installed

The formulas are written out from the papers, independently of the TypeScript; gradients come from torch.autograd.
-inf is written as null.
"""
import json
import math
import pathlib

import torch

ROWS, VOCAB, K = 3, 7, 3
OUT = pathlib.Path(__file__).parent / "fixtures" / "losses.json"


def kl(log_a, log_b):
    """KL(a || b) per row; terms with a = 0 are 0."""
    a = log_a.exp()
    return torch.where(a > 0, a * (log_a - log_b), torch.zeros_like(a)).sum(-1)


def log_mix(log_a, share, log_b):
    return torch.logaddexp(log_a + math.log(share), log_b + math.log1p(-share))


def divergence(name, log_p, log_q, o):
    beta, skew, weight = o["beta"], o["skew"], o["weight"]
    if name == "forward_kl" or (name == "jsd" and beta == 0):
        return kl(log_p, log_q)
    if name == "reverse_kl" or (name == "jsd" and beta == 1):
        return kl(log_q, log_p)
    if name == "jsd":
        log_m = log_mix(log_p, beta, log_q)
        value = beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m)
        return value / (beta * (1 - beta)) if o["normalizeJsd"] else value
    if name == "tvd":
        return 0.5 * (log_p.exp() - log_q.exp()).abs().sum(-1)
    if name == "skew_kl":
        return kl(log_p, log_mix(log_p, skew, log_q))
    if name == "skew_reverse_kl":
        return kl(log_q, log_mix(log_q, skew, log_p))
    if name == "mix":
        return weight * kl(log_p, log_q) + (1 - weight) * kl(log_q, log_p)
    raise ValueError(name)


def log1mexp(x):
    """log(1 - exp(x))"""
    return torch.log(-torch.expm1(x))


def classes(log_dist, ids):
    """k + 1 classes: the chosen ones and the log of the rest's mass."""
    top = log_dist.gather(1, ids)
    rest = log_dist.scatter(1, ids, -torch.inf)
    return torch.cat([top, rest.logsumexp(-1, keepdim=True)], 1)


def case(name, o, z, teacher, labels, extra):
    """One case. z: student logits; teacher: teacher logits (may hold -inf)."""
    o = {"beta": 0.5, "skew": 0.1, "weight": 0.5, "normalizeJsd": False, "signal": "full", "k": K, "alpha": 1,
         "studentTemperature": 1, "teacherTemperature": 1, "klCoef": 1, "ratioClip": 5, "normalisation": "sequence", **o}
    z = z.double().requires_grad_(True)
    log_p = (teacher.double() / o["teacherTemperature"]).log_softmax(-1)
    own = z.log_softmax(-1)
    token = own.gather(1, labels[:, None])[:, 0]
    teacher_token = log_p.gather(1, labels[:, None])[:, 0]
    ratio = torch.where(extra["sampled"] > 0, (token.detach() - extra["sampler"]).exp().clamp(max=o["ratioClip"]), torch.ones(()).double())
    signal = {}
    if name == "cross_entropy":
        report = term = -token
    elif name == "opd":
        report = (token - teacher_token).detach()
        # loss = -A * ratio * log q with A = -klCoef * (log q - log p)
        term = o["klCoef"] * report * ratio * token
    else:
        log_q = (z / o["studentTemperature"]).log_softmax(-1)
        if o["signal"] == "top_k":
            top, ids = log_p.topk(o["k"], -1)
            p_c, q_c = classes(log_p, ids), classes(log_q, ids)
            signal = {"ids": ids.flatten().tolist(), "top": numbers(top), "tail": numbers(p_c[:, -1])}
        else:
            p_c, q_c = log_p, log_q
            signal = {"full": numbers(log_p)}
        report = term = divergence(name, p_c, q_c, o)
    per_row = o["alpha"] * term - (1 - o["alpha"]) * extra["advantages"] * ratio * token
    loss = (per_row * extra["weights"]).sum()
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all(), (name, o)
    return {
        "divergence": name, "options": o, "logits": numbers(z), "labels": labels.tolist(), "signal": signal,
        "weights": numbers(extra["weights"]), "advantages": numbers(extra["advantages"]),
        "samplerLogprobs": numbers(extra["sampler"]), "sampled": numbers(extra["sampled"]),
        "teacherLogprobs": numbers(teacher_token),
        "loss": numbers(loss)[0], "rows": numbers(report), "logprobs": numbers(token),
        "entropy": numbers(-(own.exp() * own).sum(-1)), "gradient": numbers(gradient),
    }


def numbers(x):
    return [None if math.isinf(v) else float(f"{v:.10g}") for v in x.detach().double().flatten().tolist()]


def rows(seed, scale=2.0):
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=g)
    z, t = draw(ROWS, VOCAB) * scale, draw(ROWS, VOCAB) * scale
    labels = torch.randint(0, VOCAB, (ROWS,), generator=g)
    extra = {
        "weights": torch.tensor([0.5, 0.25, 0.25]).double(),
        "advantages": torch.tensor([0.7, -1.1, 0.4]).double(),
        # Row 0 nearly fresh, row 1 so stale that the ratio is clipped, row 2 dataset text.
        "sampler": torch.stack([z.log_softmax(-1)[0, labels[0]] + 0.3, z.log_softmax(-1)[1, labels[1]] - 4, torch.tensor(0.0)]).double(),
        "sampled": torch.tensor([1.0, 1.0, 0.0]).double(),
    }
    return z, t, labels, extra


def against_trl():
    """TRL's GKDTrainer.generalized_jsd_loss is the same function of the same logits (temperature 1, batchmean over tokens)."""
    try:
        from trl.experimental.gkd import GKDTrainer
    except ImportError:
        return "trl not installed: not compared"
    z, t, _, _ = rows(11)
    worst = 0.0
    for beta in (0.0, 0.001, 0.1, 0.5, 0.9, 1.0):
        a, b = (x.double().clone().requires_grad_(True) for x in (z, z))
        labels = torch.zeros(1, ROWS, dtype=torch.long)
        theirs = GKDTrainer.generalized_jsd_loss(a[None], t.double()[None], labels=labels, beta=beta)
        ours = divergence("jsd", t.double().log_softmax(-1), b.log_softmax(-1), {"beta": beta, "skew": 0, "weight": 0, "normalizeJsd": False}).mean()
        theirs.backward(), ours.backward()
        worst = max(worst, (theirs - ours).abs().item(), (a.grad - b.grad).abs().max().item())
    assert worst < 1e-12, worst
    return f"equal to TRL's generalized_jsd_loss, largest difference {worst:.1e}"


def main():
    variants = [("forward_kl", {}), ("reverse_kl", {}), ("tvd", {})]
    variants += [("jsd", {"beta": b}) for b in (0, 0.1, 0.5, 0.9, 1)] + [("jsd", {"beta": 0.3, "normalizeJsd": True})]
    variants += [(n, {"skew": s}) for n in ("skew_kl", "skew_reverse_kl") for s in (0.1, 0.7)]
    variants += [("mix", {"weight": w}) for w in (0, 0.3, 1)]
    cases = []
    for i, (name, o) in enumerate(variants):
        for signal in ("full", "top_k"):
            for temperatures in ({}, {"studentTemperature": 0.7, "teacherTemperature": 1.8}):
                cases.append(case(name, {**o, "signal": signal, **temperatures}, *rows(100 + i)))
        # The whole vocabulary as the top k must be `full`.
        cases.append(case(name, {**o, "signal": "top_k", "k": VOCAB}, *rows(100 + i)))
        # With a share of the reward.
        cases.append(case(name, {**o, "alpha": 0.25}, *rows(200 + i)))
        # Saturated distributions.
        cases.append(case(name, o, *rows(300 + i, scale=30.0)))
        # Tokens that the teacher rules out. A reverse KL is infinite there, in exact arithmetic.
        if name not in ("reverse_kl", "mix") and not (name == "jsd" and o.get("beta") == 1):
            z, t, labels, extra = rows(400 + i)
            t = t.clone()
            t[:, 2:4] = -torch.inf
            cases.append(case(name, o, z, t, labels, extra))
    for alpha in (1, 0.5, 0):
        cases.append(case("cross_entropy", {"alpha": alpha}, *rows(500)))
        if alpha > 0:  # without it no teacher is asked
            cases.append(case("opd", {"alpha": alpha, "klCoef": 0.8}, *rows(501)))
            cases.append(case("opd", {"alpha": alpha, "ratioClip": 1}, *rows(502)))
    print(against_trl())
    OUT.parent.mkdir(exist_ok=True)
    body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    OUT.write_text(f'{{"source":"PyTorch {torch.__version__.split("+")[0]}, float64, test/golden/losses.py","rows":{ROWS},"vocab":{VOCAB},"cases":[\n{body}\n]}}\n')
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
