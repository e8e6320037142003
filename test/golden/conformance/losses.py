"""The distillation losses of the papers in PyTorch, float64: what make.py takes its expected numbers from.

x is a batch (make.py's make_input), o the settings of an objective. B sequences, L positions, V vocabulary, R positions
that count, k classes.
"""
import math

import torch

INF = float("inf")


def completion_mask(lengths, total):
    """[B, L-1]: true where position t predicts a completion token."""
    t = torch.arange(total - 1)
    return torch.stack([(t >= p - 1) & (t < p - 1 + c) for p, c in lengths])


def token_logprobs(logits, ids):
    return logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]


def xlogx(a, log_ratio):
    """a * log_ratio with 0 * anything = 0."""
    return torch.where(a > 0, a * torch.where(a > 0, log_ratio, torch.zeros_like(a)), torch.zeros_like(a))


def kl(a, b):
    """KL(a || b) = sum a log(a / b), from log-probabilities, over the last axis."""
    safe_a, safe_b = a.clamp(min=-1e300), b.clamp(min=-1e300)
    return xlogx(a.exp(), safe_a - safe_b).sum(-1)


def weighted_log_sum(a, weight, b):
    return torch.logaddexp(a + math.log(weight), b + math.log(1 - weight))


def divergence(kind, p, q, o):
    """Per position, from log-probabilities of teacher (p) and student (q)."""
    if kind == "jsd" and o["beta"] in (0, 1):
        kind = "forward_kl" if o["beta"] == 0 else "reverse_kl"
    if kind == "forward_kl":
        return kl(p, q)
    if kind == "reverse_kl":
        return kl(q, p)
    if kind == "jsd":
        m = weighted_log_sum(p, o["beta"], q)
        value = o["beta"] * kl(p, m) + (1 - o["beta"]) * kl(q, m)
        return value / (o["beta"] * (1 - o["beta"])) if o["normalize_jsd"] else value
    if kind == "tvd":
        return (p.exp() - q.exp()).abs().sum(-1) / 2
    if kind == "adaptive_kl":
        # Wu et al. 2024: the head is the fewest of the teacher's most probable classes that reach the mass mu.
        order = p.sort(dim=-1, descending=True, stable=True)[1]
        gap = (p.exp() - q.detach().exp()).abs().gather(-1, order)
        before = p.exp().gather(-1, order).cumsum(-1).roll(1, -1)
        before[..., 0] = 0
        share = (gap * (before < o["head_mass"])).sum(-1) / gap.sum(-1)
        return share * kl(p, q) + (1 - share) * kl(q, p)
    if kind == "entropy_aware":
        entropy = -xlogx(p.exp(), p.clamp(min=-1e300)).sum(-1)
        return kl(q, p) + o["forward_weight"] * (entropy > o["entropy_threshold"]) * kl(p, q)
    if kind == "skew_kl":
        return kl(p, weighted_log_sum(p, o["skew"], q))
    if kind == "skew_reverse_kl":
        return kl(q, weighted_log_sum(q, o["skew"], p))
    return o["weight"] * kl(p, q) + (1 - o["weight"]) * kl(q, p)  # mix


def bucketed(logprobs, chosen):
    """The chosen classes, and the rest as one more class."""
    rest = torch.ones_like(logprobs, dtype=torch.bool).scatter(-1, chosen, False)
    tail = torch.where(rest, logprobs, torch.full_like(logprobs, -INF)).logsumexp(-1, keepdim=True)
    return torch.cat([logprobs.gather(-1, chosen), tail], -1)


def teacher_of(x, o):
    """The teacher's distribution at the completion positions, [R, V]."""
    logits = x["hidden"] @ x["head"].T if o["signal"] == "hidden" else x["teacher"]
    return (logits[mask_of(x, o)] / o["teacher_temperature"]).log_softmax(-1)


def mask_of(x, o):
    """Positions that count: those of the completion, or of its first tokens."""
    first = x["mask"].cumsum(1) <= (o["prefix_tokens"] or x["mask"].shape[1])
    return x["mask"] & first


def chosen_classes(x, o):
    """[R, k]: the classes that the teacher (top_k) or the student (student_top_k) finds most probable."""
    by = x["student"][mask_of(x, o)] if o["signal"] == "student_top_k" else teacher_of(x, o)
    return by.topk(o["k"], -1)[1]


def drawn_classes(x, o):
    """Counts of k draws from the teacher at each position, [R, V]."""
    p = teacher_of(x, o).exp()
    draws = torch.multinomial(p, o["k"], replacement=True, generator=torch.Generator().manual_seed(o["k"]))
    return torch.zeros_like(p).scatter_add(-1, draws, torch.ones_like(draws, dtype=p.dtype))


def signal_of(x, o):
    """What the teacher sends for the completion positions; README.md says what each kind holds."""
    p, kind = teacher_of(x, o), o["signal"]
    if kind == "hidden":
        return {"hidden": x["hidden"][mask_of(x, o)]}
    if kind == "random_k":
        counts = drawn_classes(x, o)
        width = int((counts > 0).sum(-1).max())
        most, ids = counts.topk(width, -1)
        return {"ids": ids * (most > 0), "counts": most.int(), "entropy": -xlogx(p.exp(), p.clamp(min=-1e300)).sum(-1)}
    if kind not in ("top_k", "student_top_k"):
        return {}
    ids = chosen_classes(x, o)
    tail = bucketed(p, ids)[:, -1] if o["k"] < x["vocab"] else torch.full((len(p),), -INF)
    return {"ids": ids, "logprobs": p.gather(-1, ids), "tail": tail}


def both(x, o, z, temperature):
    """Log-probabilities of teacher and student over the classes of the signal."""
    p, q = teacher_of(x, o), (z[mask_of(x, o)] / temperature).log_softmax(-1)
    if o["signal"] in ("top_k", "student_top_k") and o["k"] < x["vocab"]:
        chosen = chosen_classes(x, o)
        return bucketed(p, chosen), bucketed(q, chosen)
    return p, q


def loss(x, o, z):
    """The scalar loss as a function of the student's logits [B, L-1, V]."""
    mask, ids = mask_of(x, o), x["ids"]
    token = token_logprobs(z, ids)[mask]
    if o["divergence"] == "cross_entropy":
        distance = -token
    elif o["divergence"] == "opd":
        teacher = teacher_of(x, o).gather(-1, ids[:, 1:][mask][:, None])[:, 0]
        gap = token.detach() - teacher
        if o["kl_baseline"]:
            p, q = both(x, o, z.detach(), 1)
            gap = gap - kl(q, p)
        distance = o["kl_coef"] * gap * ratio(x, o, token) * token
    elif o["signal"] == "random_k":
        p, q = both(x, o, z, o["student_temperature"])
        distance = -(drawn_classes(x, o) / o["k"] * q).sum(-1) + xlogx(p.exp(), p.clamp(min=-1e300)).sum(-1)
    else:
        distance = divergence(o["divergence"], *both(x, o, z, o["student_temperature"]), o)
    if o["temperature_squared"] and o["divergence"] not in ("cross_entropy", "opd"):
        distance = distance * o["student_temperature"] ** 2
    advantage = x["advantages"][:, None].expand(mask.shape)[mask]
    per_row = o["alpha"] * distance - (1 - o["alpha"]) * advantage * ratio(x, o, token) * token
    return (per_row * row_weights(x, o)).sum()


def ratio(x, o, token):
    """min(q / q_sampler, clip), held constant."""
    return (token.detach() - x["sampler"][mask_of(x, o)]).exp().clamp(max=o["ratio_clip"])


def row_weights(x, o):
    mask = mask_of(x, o)
    rows = mask.sum(1, keepdim=True)
    each = 1 / rows.sum() if o["normalisation"] == "token" else 1 / (rows * len(rows))
    return each.expand(mask.shape)[mask]


def closed_form(x, o):
    """Gradient at the completion rows where the papers give one (full signal), else None."""
    kind = o["divergence"]
    if o["alpha"] != 1 or o["temperature_squared"] or kind not in ("forward_kl", "reverse_kl", "jsd"):
        return None
    if o["signal"] not in ("full", "hidden", "random_k"):
        return None
    q = (x["student"][mask_of(x, o)] / o["student_temperature"]).log_softmax(-1)
    p = teacher_of(x, o)
    if o["signal"] == "random_k":
        return (q.exp() - drawn_classes(x, o) / o["k"]) * row_weights(x, o)[:, None] / o["student_temperature"]
    beta = {"forward_kl": 0, "reverse_kl": 1}.get(kind, o["beta"])
    if beta == 0:
        gradient = q.exp() - p.exp()
    else:
        r, factor = (q - p, 1) if beta == 1 else (q - weighted_log_sum(p, beta, q), 1 - beta)
        gradient = factor * q.exp() * (r - (q.exp() * r).sum(-1, keepdim=True))
        if o["normalize_jsd"] and beta != 1:
            gradient = gradient / (beta * (1 - beta))
    return gradient * row_weights(x, o)[:, None] / o["student_temperature"]
