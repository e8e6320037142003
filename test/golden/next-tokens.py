"""Writes fixtures/next-tokens.json: a teacher's distribution over the next token of a student with another tokenizer, and losses over it.

    python test/golden/next-tokens.py      # needs torch, tokenizers

The tokenizers are those of the example num2words: a student of characters, a teacher of words. The teacher is a table of random numbers, a
softmax in float64 for every history. What it expects of the next character is found by enumeration: the probability that its text begins
with so and so is the sum over all of its sequences of tokens that do, up to the one that reaches the end. The TypeScript has instead the
distributions at the tokens of one text. The losses are PyTorch's, over the classes of which something is said, and the rest; the gradient is
torch.autograd's.
"""
import functools
import hashlib
import json
import pathlib

import torch
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
OUT = HERE / "fixtures" / "next-tokens.json"
MODELS = HERE.parent.parent / "deploy" / "examples" / "num2words" / "models"
END = 2
CLASSES = 41
WORDS = ["six", " six", " sixty", " sixteen", " seven", " seventy", " seventeen", " hundred", "four", " forty", " four", " fourteen", "x", "q"]
TEXTS = [("six hundred sixty seven", True), ("four hundred seventeen", True), (" forty six", True), (" sixteenxq", True), (" seventy fou", False)]


def numbers(x):
    return [float(f"{v:.9g}") for v in x.detach().double().flatten().tolist()]


def teacher_of(tokenizer):
    """log p(z | history) [V]: of WORDS and the end alone, so that a text has one sequence of tokens."""
    vocab = tokenizer.get_vocab_size()
    allowed = [END, *(tokenizer.token_to_id(word) for word in WORDS)]

    @functools.cache
    def logprobs(history):
        seed = int.from_bytes(hashlib.sha256(repr(history).encode()).digest()[:6], "big")
        z = torch.full((vocab,), -torch.inf, dtype=torch.float64)
        z[allowed] = torch.randn(len(allowed), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 1.5
        return z.log_softmax(-1)

    return allowed, logprobs


def begins(tokenizer, allowed, logprobs, text, ended):
    """The probability that the teacher's text begins with `text`, or is it."""
    texts = {z: tokenizer.id_to_token(z) for z in allowed if z != END}

    def rest(history, left):
        if left == "":
            return float(logprobs(history)[END].exp()) if ended else 1.0
        total = 0.0
        for z, own in texts.items():
            if left.startswith(own):
                total += float(logprobs(history)[z].exp()) * rest((*history, z), left[len(own):])
            elif own.startswith(left) and not ended:
                total += float(logprobs(history)[z].exp())
        return total

    return rest((), text)


def text_case(teacher, student, text, ended):
    allowed, logprobs = teacher_of(teacher)
    ids = [*teacher.encode(text, add_special_tokens=False).ids, *([END] if ended else [])]
    if not ended:
        # Cut within a word: the teacher reads its letters, which it expects of no text; what it says before them stands.
        ids = [z for z in ids if z in allowed]
    own = [*student.encode(text, add_special_tokens=False).ids, *([END] if ended else [])]
    rows = [logprobs(tuple(ids[:m])) for m in range(len(ids))]
    top = [row.topk(CLASSES) for row in rows]
    expected = []
    for n in range(len(own)):
        before = text[:n]
        whole = begins(teacher, allowed, logprobs, before, False)
        of = lambda v: begins(teacher, allowed, logprobs, *((before, True) if v == END else (before + student.id_to_token(v), False)))
        expected.append([of(v) / whole if v == END or v > 2 else 0.0 for v in range(student.get_vocab_size())])
        assert abs(sum(expected[-1]) - 1) < 1e-9, (text, n, sum(expected[-1]))
    finite = [[(int(i), float(p)) for p, i in zip(*one) if torch.isfinite(p)] for one in top]
    return {
        "text": text, "ended": ended, "ids": own, "teacherIds": ids, "logprobs": [float(f"{float(row[z]):.9g}") for row, z in zip(rows, ids)],
        "top": [[[i, float(f"{p:.9g}")] for i, p in one] for one in finite],
        "expected": [{str(v): float(f"{p:.9g}") for v, p in enumerate(row) if p > 0} for row in expected],
    }


DIVERGENCES = {
    "forward_kl": lambda p, q: (p * (p.log() - q.log())).sum(-1),
    "reverse_kl": lambda p, q: (q * (q.log() - p.log())).sum(-1),
    "jsd": lambda p, q: 0.3 * (p * (p.log() - (0.3 * p + 0.7 * q).log())).sum(-1) + 0.7 * (q * (q.log() - (0.3 * p + 0.7 * q).log())).sum(-1),
    "tvd": lambda p, q: (p - q).abs().sum(-1) / 2,
}


def loss_case(seed, said):
    """said[n]: of how many classes of row n something is said; the others fill it up."""
    rows, vocab, k = len(said), 7, 4
    g = torch.Generator().manual_seed(seed)
    z = (torch.randn(rows, vocab, generator=g) * 2).double()
    order = [torch.randperm(vocab, generator=g)[:k].tolist() for _ in said]
    p = [(torch.randn(m + 1, generator=g) * 2).double().softmax(-1) for m in said]
    weights = torch.rand(rows, generator=g).double()
    top = [[*row[:m].log().tolist(), *([None] * (k - m))] for row, m in zip(p, said)]
    results = {}
    for name, divergence in DIVERGENCES.items():
        logits = z.clone().requires_grad_(True)
        each = []
        for n, m in enumerate(said):
            q = logits[n].softmax(-1)
            kept = q[order[n][:m]]
            each.append(divergence(p[n], torch.cat([kept, 1 - kept.sum(0, keepdim=True)])) if m else logits[n].sum() * 0)
        distance = torch.stack(each)
        loss = (distance * weights).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        results[name] = {"loss": numbers(loss)[0], "rows": numbers(distance), "gradient": numbers(gradient)}
    return {
        "said": said, "vocab": vocab, "k": k, "logits": numbers(z), "weights": numbers(weights), "ids": sum(order, []),
        "top": [None if x is None else float(f"{x:.9g}") for x in sum(top, [])], "tail": [float(f"{float(row[-1].log()):.9g}") for row in p], "results": results,
    }


def main():
    teacher, student = (Tokenizer.from_file(str(MODELS / name / "tokenizer.json")) for name in ("teacher-words", "student"))
    texts = [text_case(teacher, student, text, ended) for text, ended in TEXTS]
    losses = [loss_case(1, [4, 4, 4]), loss_case(2, [4, 2, 1, 0]), loss_case(3, [0, 3, 1, 2, 4])]
    source = f"PyTorch {torch.__version__.split('+')[0]}, float64, test/golden/next-tokens.py"
    OUT.write_text(json.dumps({"source": source, "classes": CLASSES, "texts": texts, "losses": losses}, separators=(",", ":")) + "\n")
    print(f"{sum(len(t['ids']) for t in texts)} tokens of {len(texts)} texts, {len(losses)} losses, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
