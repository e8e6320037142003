"""Writes fixtures/uld.json: universal logit distillation over spans of text that student and teacher wrote in other tokens, and its gradient.

    python test/golden/uld.py      # needs torch; compares with TRL's ULDLoss if trl is installed

Spans are found by byte offsets, probabilities of a span's tokens are multiplied, and both are sorted, in float64 and independently of the
TypeScript; the gradient is torch.autograd's, through the student's order and through the product. TRL's ULDLoss is the same where it is asked
for all classes, `bayesian` merging and the end tokens: compare() holds both against each other, value and gradient.
"""
import json
import pathlib
import types

import torch

OUT = pathlib.Path(__file__).parent / "fixtures" / "uld.json"
# Bytes of each token of the student and of the teacher; 0 for the end. The last text was cut: its last token ends behind the last common border.
TEXTS = {
    "alike": ([3, 1, 4, 0], [3, 1, 4, 0]),
    "characters under words": ([1, 1, 1, 1, 1, 1, 1, 0], [4, 3, 0]),
    "words under characters": ([4, 3, 0], [1, 1, 1, 1, 1, 1, 1, 0]),
    "mixed": ([2, 3, 1, 1, 1, 2, 0], [5, 1, 2, 1, 1, 0]),
    "cut": ([1, 2, 2, 1], [3, 1, 1, 2]),
}
BATCHES = [
    {"texts": ["alike"], "vocab": [9, 9], "k": 9},
    {"texts": ["mixed"], "vocab": [11, 7], "k": 7},
    {"texts": ["characters under words", "words under characters", "alike"], "vocab": [7, 12], "k": 7},
    {"texts": ["mixed", "cut", "words under characters"], "vocab": [10, 13], "k": 4},
    {"texts": ["characters under words", "mixed"], "vocab": [12, 9], "k": 3, "student_temperature": 0.7, "teacher_temperature": 1.6},
    {"texts": ["mixed", "characters under words"], "vocab": [8, 8], "k": 1, "normalisation": "token"},
]


def numbers(x):
    return [float(f"{v:.9g}") for v in x.detach().double().flatten().tolist()]


def rounded(x):
    return torch.tensor(numbers(x), dtype=torch.float64).reshape(x.shape)


def groups(a, b):
    """Indices of both sides' tokens between borders that both have, and that end together."""
    first, second = torch.tensor(a).cumsum(0).tolist(), torch.tensor(b).cumsum(0).tolist()
    # An end token has its border where the text ends: it is told apart from what ends there by its place behind it.
    if a[-1] == 0 and b[-1] == 0:
        first[-1] = second[-1] = first[-1] + 1
    found, at = [], (0, 0)
    for border in sorted(set(first) & set(second)):
        to = (first.index(border) + 1, second.index(border) + 1)
        found.append((list(range(at[0], to[0])), list(range(at[1], to[1]))))
        at = to
    return found


def merged(z, ids, group, temperature):
    """Probabilities over a group's last token, times those of the tokens before it."""
    p = (z / temperature).softmax(-1)
    return p[group[-1]] * torch.stack([p[n, ids[n]] for n in group[:-1]] or [torch.ones((), dtype=torch.float64)]).prod()


def ranked(mass, k):
    """The k largest in falling order, and the sum of the others."""
    order = torch.nn.functional.pad(mass.sort(descending=True).values, (0, max(0, k - len(mass))))
    return torch.cat([order[:k], order[k:].sum(0, keepdim=True)])


def distances(one, student, o):
    """Of each span."""
    spans = groups(one["lengths"], one["teacherLengths"])
    q = [merged(student, one["ids"], s, o["student_temperature"]) for s, _ in spans]
    p = [merged(one["teacher"], one["teacherIds"], t, o["teacher_temperature"]) for _, t in spans]
    return torch.stack([(ranked(a, o["k"]) - ranked(b, o["k"])).abs().sum() for a, b in zip(q, p)]), [s[-1] for s, _ in spans]


def loss(texts, students, o):
    each = [distances(one, z, o)[0] for one, z in zip(texts, students)]
    if o["normalisation"] == "token":
        return torch.cat(each).mean()
    return torch.stack([one.mean() for one in each]).mean()


def text_of(name, vocab, g):
    lengths, others = TEXTS[name]
    draw = lambda count, size: torch.randint(0, size, (count,), generator=g).tolist()
    logits = lambda count, size: rounded((torch.randn(count, size, generator=g) * 2).double())
    return {
        "lengths": lengths, "teacherLengths": others, "ids": draw(len(lengths), vocab[0]), "teacherIds": draw(len(others), vocab[1]),
        "student": logits(len(lengths), vocab[0]), "teacher": logits(len(others), vocab[1]),
    }


def compare(texts, students, o):
    """TRL's own loss on the same batch: a prompt of one token before each text, then padding."""
    try:
        from trl.experimental.gold.gold_trainer import ULDLoss
    except ImportError:
        return "not compared: trl is not installed"
    config = types.SimpleNamespace(
        uld_crossentropy_weight=0.0, uld_distillation_weight=1.0, uld_student_temperature=o["student_temperature"],
        uld_teacher_temperature=o["teacher_temperature"], uld_skip_student_eos=False, uld_skip_teacher_eos=False, use_extended_uld=True,
        uld_token_merge_strategy="bayesian",
    )

    def padded(lengths, ids, logits):
        """What predicts a token stands one place before it."""
        longest = max(len(one[lengths]) for one in texts) + 1
        rows = []
        for one, z in zip(texts, logits):
            count = len(one[lengths])
            ends = torch.tensor(one[lengths]).cumsum(0).tolist()
            offsets = [(0, 0)] + [(end - size, end) for end, size in zip(ends, one[lengths])] + [(0, 0)] * (longest - count - 1)
            labels = [-100] + one[ids] + [-100] * (longest - count - 1)
            rows.append((torch.cat([z, torch.zeros(longest - count, z.shape[1], dtype=torch.float64)]), labels, [max(x, 0) for x in labels], offsets))
        stack = lambda i: torch.tensor([row[i] for row in rows])
        return torch.stack([row[0] for row in rows]), stack(1), stack(2), stack(3)

    s, t = padded("lengths", "ids", students), padded("teacherLengths", "teacherIds", [one["teacher"] for one in texts])
    return ULDLoss(config)(s[0], t[0], s[1], t[1], s[2], t[2], s[3], t[3])


def batch_case(seed, batch):
    o = {"student_temperature": 1, "teacher_temperature": 1, "normalisation": "sequence", **batch}
    g = torch.Generator().manual_seed(seed)
    texts = [text_of(name, o["vocab"], g) for name in o["texts"]]
    students = [one["student"].clone().requires_grad_(True) for one in texts]
    value = loss(texts, students, o)
    gradient = torch.autograd.grad(value, students)
    whole = {**o, "k": max(o["vocab"])}
    # TRL takes means of each text, and compares what a cut has left over.
    alike = o["normalisation"] == "sequence" and "cut" not in o["texts"]
    theirs = compare(texts, students, whole) if alike else "not compared with TRL"
    if isinstance(theirs, torch.Tensor):
        torch.testing.assert_close(theirs, loss(texts, students, whole), rtol=1e-10, atol=1e-12)
        ours, trl = (torch.autograd.grad(x, students) for x in (loss(texts, students, whole), theirs))
        for a, b in zip(ours, trl):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
        theirs = "as TRL's ULDLoss over all classes, value and gradient"
    print(o["texts"], o["k"], theirs)
    rows = []
    for one, z, slope in zip(texts, students, gradient):
        each, at = distances(one, z, o)
        rows.append({
            **{name: one[name] for name in ("lengths", "teacherLengths", "ids", "teacherIds")},
            "student": numbers(z), "teacher": numbers(one["teacher"]), "gradient": numbers(slope),
            "distances": numbers(each), "ends": at,
        })
    return {**{name: o[name] for name in ("vocab", "k", "normalisation")}, "studentTemperature": o["student_temperature"],
            "teacherTemperature": o["teacher_temperature"], "loss": numbers(value)[0], "texts": rows}


def main():
    cases = [batch_case(seed, batch) for seed, batch in enumerate(BATCHES)]
    source = f"PyTorch {torch.__version__.split('+')[0]}, float64, test/golden/uld.py"
    OUT.write_text(json.dumps({"source": source, "batches": cases}, separators=(",", ":")) + "\n")
    print(f"{len(cases)} batches, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
