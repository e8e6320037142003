"""Writes the conformance cases of the distillation losses: inputs.json and cases/*.json. README.md says what they hold.

    python test/golden/conformance/make.py      # needs torch; trl, if it is installed, for the comparison

Written from the papers' formulas alone. Values and gradients are float64; every gradient of autograd is checked against
finite differences, and against the closed form where there is one.
"""
import json
import math
import pathlib

import torch

from losses import INF, closed_form, completion_mask, loss, mask_of, signal_of, token_logprobs

HERE = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)

# name: (prompt length, completion length) of each sequence; vocabulary; scale of the logits
LAYOUTS = {
    "one_sequence": ([(2, 3)], 7, 2.0),
    "equal_lengths": ([(1, 3), (1, 3)], 9, 2.0),
    "prompts_differ": ([(1, 3), (3, 1)], 8, 2.0),
    "right_padding": ([(2, 1), (1, 3), (3, 2)], 11, 2.0),
    "ends_at_once": ([(2, 1), (2, 4)], 13, 2.0),
    "pad_is_end": ([(1, 2), (2, 4)], 7, 2.0),
    "saturated": ([(2, 2), (1, 2)], 7, 40.0),
    "ruled_out": ([(2, 2), (1, 2)], 10, 2.0),
}


def make_input(name, number):
    """Token ids [B, L], completion lengths, logits [B, L-1, V]: position t predicts token t+1."""
    lengths, vocab, scale = LAYOUTS[name]
    g = torch.Generator().manual_seed(1000 + number)
    total = max(p + c for p, c in lengths)
    end, pad = 1, 1 if name == "pad_is_end" else 0
    ids = torch.full((len(lengths), total), pad)
    for b, (p, c) in enumerate(lengths):
        ids[b, : p + c] = torch.randint(2, vocab, (p + c,), generator=g)
        ids[b, p + c - 1] = end
    draw = lambda: torch.round(torch.randn(len(lengths), total - 1, vocab, generator=g) * scale, decimals=4)
    student, teacher = draw(), draw()
    mask = completion_mask(lengths, total)
    # Where nothing may be counted the two models disagree wildly, so that any leak is seen.
    student[~mask], teacher[~mask] = student[~mask] * 25, teacher[~mask] * -25
    if name == "ruled_out":
        teacher[:, :, 3:6] = -INF
        ids[ids == 4] = 2
        ids[(ids == 3) | (ids == 5)] = 6
    own = token_logprobs(student, ids)
    # Another teacher, given by its hidden states and its head.
    other, width = torch.Generator().manual_seed(2000 + number), 4
    head = torch.round(torch.randn(vocab, width, generator=other) * scale / width**0.5, decimals=4)
    hidden = torch.round(torch.randn(len(lengths), total - 1, width, generator=other), decimals=4)
    # The first sequence is nearly fresh, later ones are stale enough for the ratio to be clipped.
    sampler = own + torch.arange(len(lengths))[:, None] * -2.5 + 0.3 * torch.randn(own.shape, generator=g)
    advantages = torch.round(torch.randn(len(lengths), generator=g), decimals=3)
    return dict(ids=ids, lengths=lengths, vocab=vocab, student=student, teacher=teacher, mask=mask, hidden=hidden, head=head,
                sampler=torch.round(sampler, decimals=6).clamp(max=0), advantages=advantages)


def finite_difference(x, o, gradient):
    """Checks the gradient along one random direction of the completion rows."""
    g = torch.Generator().manual_seed(5)
    direction = torch.randn(x["student"].shape, generator=g) * x["mask"][..., None]
    step = 1e-6
    slope = (loss(x, o, x["student"] + step * direction) - loss(x, o, x["student"] - step * direction)) / (2 * step)
    # The importance ratio and the weights of adaptive_kl are constants of the loss, but not of a difference quotient.
    if o["alpha"] == 1 and o["divergence"] not in ("opd", "adaptive_kl"):
        assert abs(slope - (gradient * direction).sum()) < 1e-6 * max(1, abs(slope)), (o, slope, (gradient * direction).sum())


DEFAULTS = dict(signal="full", k=3, beta=0.5, skew=0.1, weight=0.5, normalize_jsd=False, alpha=1, student_temperature=1,
                teacher_temperature=1, kl_coef=1, ratio_clip=5, normalisation="sequence", head_mass=0.5, entropy_threshold=0.8,
                forward_weight=1, kl_baseline=False, temperature_squared=False, prefix_tokens=0)

OBJECTIVES = {
    "forward_kl": [{}], "reverse_kl": [{}], "tvd": [{}],
    "jsd": [{"beta": b} for b in (0, 0.1, 0.5, 0.9, 1)] + [{"beta": 0.1, "normalize_jsd": True}],
    "skew_kl": [{"skew": s} for s in (0.1, 0.5)], "skew_reverse_kl": [{"skew": s} for s in (0.1, 0.5)],
    "mix": [{"weight": w} for w in (0.2, 0.8)], "adaptive_kl": [{"head_mass": m} for m in (0.5, 0.9)],
    "entropy_aware": [{"entropy_threshold": t, "forward_weight": w} for t, w in ((0.8, 1), (1.2, 0.3))],
}
SOURCES = {
    "forward_kl": "Hinton et al. 2015; Agarwal et al. 2024 (arXiv 2306.13649)", "reverse_kl": "Gu et al. 2024 (arXiv 2306.08543)",
    "jsd": "Agarwal et al. 2024 (arXiv 2306.13649), eq. 1; beta 0 and 1 are the KLs that it tends to after division",
    "tvd": "Wen et al. 2023 (arXiv 2307.15190)", "skew_kl": "Ko et al. 2024 (arXiv 2402.03898)",
    "skew_reverse_kl": "Ko et al. 2024 (arXiv 2402.03898)", "mix": "weighted sum of the two KLs",
    "adaptive_kl": "Wu et al. 2024 (arXiv 2404.02657); its weights are held constant",
    "entropy_aware": "Jin et al. 2026 (arXiv 2603.07079); the reverse KL exact instead of sampled",
    "random_k": "Anshumann et al. 2025 (arXiv 2503.16870), with the teacher itself as proposal",
    "cross_entropy": "negative log-likelihood of the given tokens",
    "opd": "Thinking Machines 2025, On-Policy Distillation: sampled reverse KL as a policy gradient, importance ratio clipped; "
           "kl_baseline: Oh et al. 2026 (arXiv 2605.07865), the control variate KL(student || teacher)",
    "reward": "Agarwal et al. 2024, section 3.1: alpha * divergence + (1 - alpha) * REINFORCE with an importance ratio",
}


def infinite(kind, o, name):
    """A reverse KL is infinite where the teacher rules a class out."""
    reverse = kind in ("reverse_kl", "mix", "adaptive_kl", "entropy_aware") or (kind == "jsd" and o.get("beta") == 1)
    return name == "ruled_out" and (reverse or o.get("kl_baseline", False)) and o.get("signal") != "hidden"


def plan():
    """Yields (file, layout, options)."""
    for kind, variants in OBJECTIVES.items():
        for name in LAYOUTS:
            for i, variant in enumerate(variants):
                yield from over_signals(kind, name, i, variant)
        for variant in variants:
            for temperatures in ((0.7, 1.8), (2, 2)):
                for signal in ("full", "top_k", "hidden"):
                    yield kind, "right_padding", {**variant, "divergence": kind, "signal": signal, "normalisation": "token",
                                                  "student_temperature": temperatures[0], "teacher_temperature": temperatures[1],
                                                  "temperature_squared": signal == "hidden"}
            for signal in ("full", "student_top_k"):
                yield kind, "right_padding", {**variant, "divergence": kind, "signal": signal, "prefix_tokens": 2}
    for name in LAYOUTS:
        for normalisation in ("sequence", "token"):
            yield "cross_entropy", name, {"divergence": "cross_entropy", "normalisation": normalisation}
            for clip in (1, 5):
                yield "opd", name, {"divergence": "opd", "kl_coef": 0.8, "ratio_clip": clip, "normalisation": normalisation}
            yield "reward", name, {"divergence": "forward_kl", "alpha": 0, "normalisation": normalisation}
            for kind in ("forward_kl", "tvd", "opd"):
                yield "reward", name, {"divergence": kind, "alpha": 0.25, "normalisation": normalisation}
            for k in (1, 20):
                yield "random_k", name, {"divergence": "forward_kl", "signal": "random_k", "k": k, "normalisation": normalisation}
        for signal in ("full", "hidden", "sampled", "student_top_k", "top_k"):
            yield "opd", name, {"divergence": "opd", "signal": signal, "normalisation": "token"}
            if signal != "sampled":
                yield "opd", name, {"divergence": "opd", "signal": signal, "normalisation": "token", "kl_baseline": True}
        yield "cross_entropy", name, {"divergence": "cross_entropy", "prefix_tokens": 1}
        yield "reward", name, {"divergence": "forward_kl", "alpha": 0.25, "prefix_tokens": 2}
    yield "random_k", "right_padding", {"divergence": "forward_kl", "signal": "random_k", "k": 8, "student_temperature": 0.7,
                                        "teacher_temperature": 1.8, "temperature_squared": True}


def over_signals(kind, name, number, variant):
    """One objective in one layout, over every signal that carries a distribution."""
    full, vocab = {**variant, "divergence": kind}, LAYOUTS[name][1]
    k = 1 + 2 * (number % 2)
    for normalisation in ("sequence", "token"):
        yield kind, name, {**full, "normalisation": normalisation}
        yield kind, name, {**full, "normalisation": normalisation, "signal": "top_k", "k": k}
    yield kind, name, {**full, "signal": "top_k", "k": vocab}
    yield kind, name, {**full, "signal": "student_top_k", "k": 4 - k, "normalisation": "token"}
    yield kind, name, {**full, "signal": "student_top_k", "k": vocab}
    yield kind, name, {**full, "signal": "hidden"}


def compare_with_trl(x, o, value, gradient):
    """TRL's loss on the same tensors, where it has this objective. Gives the largest difference, NaN, or None."""
    if o["divergence"] not in ("forward_kl", "reverse_kl", "jsd") or o["signal"] != "full" or o["normalize_jsd"]:
        return None
    if o["prefix_tokens"] or o["temperature_squared"] or o["student_temperature"] != o["teacher_temperature"] or o["normalisation"] != "token" or o["alpha"] != 1:
        return None
    from trl.experimental.gkd import GKDTrainer

    z = x["student"].clone().requires_grad_(True)
    labels = torch.where(x["mask"], x["ids"][:, 1:], -100)
    beta = {"forward_kl": 0, "reverse_kl": 1}.get(o["divergence"], o["beta"])
    theirs = GKDTrainer.generalized_jsd_loss(z, x["teacher"], labels=labels, beta=beta, temperature=o["student_temperature"])
    (theirs_gradient,) = torch.autograd.grad(theirs, z)
    return max(abs(theirs.item() - value), (theirs_gradient - gradient).abs().max().item()) if theirs.isfinite() else math.nan


def numbers(x):
    """Nested lists with eight significant digits; -inf is null."""
    if isinstance(x, list):
        return [numbers(v) for v in x]
    return None if x == -INF else x if isinstance(x, int) else float(f"{x:.8g}")


def tolerance(x):
    """Of float32 arithmetic: terms are as large as the largest logit."""
    return {"rtol": 1e-5, "atol": float(f"{max(1.0, x['student'][x['mask']].abs().max().item()) * 2e-6:.2g}")}


def main():
    inputs = {name: make_input(name, i) for i, name in enumerate(LAYOUTS)}
    files, trl, checked = {}, {}, 0
    for file, name, options in plan():
        o, x = {**DEFAULTS, **options}, inputs[name]
        if infinite(o["divergence"], options, name):
            continue
        mask = mask_of(x, o)
        z = x["student"].clone().requires_grad_(True)
        value = loss(x, o, z)
        (gradient,) = torch.autograd.grad(value, z)
        assert value.isfinite() and gradient.isfinite().all() and gradient[~mask].abs().sum() == 0, (name, o)
        finite_difference(x, o, gradient)
        closed = closed_form(x, o)
        if closed is not None and name != "ruled_out":
            assert torch.allclose(closed, gradient[mask], rtol=1e-9, atol=1e-12), (name, o)
            checked += 1
        try:
            difference = compare_with_trl(x, o, value.item(), gradient)
        except ImportError:
            difference = None
        if difference is not None:
            trl.setdefault(name, []).append(difference)
        case = {"input": name, "objective": o, "tolerance": tolerance(x), "value": numbers(value.item()),
                "gradient": numbers(gradient[mask].tolist())}
        if o["divergence"] != "cross_entropy" and o["alpha"] > 0:
            case["signal"] = {k: numbers(v.tolist()) for k, v in signal_of(x, o).items()}
        files.setdefault(file, []).append(case)
    (HERE / "cases").mkdir(exist_ok=True)
    for file, cases in files.items():
        body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        (HERE / "cases" / f"{file}.json").write_text(f'{{"source":{json.dumps(SOURCES[file])},"cases":[\n{body}\n]}}\n')
    described = {
        name: {
            "vocab": x["vocab"], "prompt_lengths": [p for p, _ in x["lengths"]], "completion_lengths": [c for _, c in x["lengths"]],
            "ids": x["ids"].tolist(), "mask": x["mask"].int().tolist(), "student_logits": numbers(x["student"].tolist()),
            "teacher_logits": numbers(x["teacher"].tolist()), "sampler_logprobs": numbers(x["sampler"].tolist()),
            "advantages": numbers(x["advantages"].tolist()), "teacher_head": numbers(x["head"].tolist()),
        }
        for name, x in inputs.items()
    }
    (HERE / "inputs.json").write_text("{\n" + ",\n".join(f'"{k}":{json.dumps(v, separators=(",", ":"))}' for k, v in described.items()) + "\n}\n")
    print(f"{sum(map(len, files.values()))} cases; {checked} gradients equal to the closed form")
    for name, differences in trl.items():
        undefined = sum(map(math.isnan, differences))
        rest = [d for d in differences if not math.isnan(d)]
        print(f"TRL on {name}: {len(differences)} compared, {undefined} NaN, largest difference {max(rest, default=0):.1e}")


if __name__ == "__main__":
    main()
