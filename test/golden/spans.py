"""Writes fixtures/spans.json: spans in common of two tokenizations, and the span log-ratio's loss and gradient, from PyTorch in float64.

    python test/golden/spans.py      # needs torch, tokenizers, transformers; compares with TRL's GOLD alignment if trl is installed

The tokenizers are those of fixtures/encoder, which encoder.py trains. Bytes of tokens, spans and loss are written out here independently of
the TypeScript: a border in common is a byte offset that both have, and the gradient is torch.autograd's.
"""
import json
import pathlib

import torch
from tokenizers import Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

HERE = pathlib.Path(__file__).parent / "fixtures"
OUT = HERE / "spans.json"
KINDS = ("bytes", "metaspace")
TEXTS = [
    "The answer is 23.",
    " the weather in Paris is sunny; it's 21 degrees",
    "def f(x):\n    return x + 1\n\n\tprint('hi')\r\n",
    "Größe naïve café, Привет, мир! 你好，世界。 안녕하세요",
    "😀👍🏽 three hundred forty seven 😀",
    "aaaaaaaaaaaaaaaaaaaaaaaa   aaaa",
    "x",
]
UNICODE = {character: byte for byte, character in bytes_to_unicode().items()}


def spelled(kind, token):
    if kind == "bytes":
        return bytes(UNICODE[c] for c in token)
    if len(token) == 6 and token.startswith("<0x"):
        return bytes([int(token[3:5], 16)])
    return token.replace("▁", " ").encode()


def encoded(kind, tokenizer, text):
    """Ids of a text behind a line break, as both tokenizers keep that to itself."""
    alone, both = (tokenizer.encode(t, add_special_tokens=False) for t in ("\n", "\n" + text))
    assert both.ids[: len(alone.ids)] == alone.ids, text
    ids, tokens = both.ids[len(alone.ids):], both.tokens[len(alone.ids):]
    pieces = [spelled(kind, token) for token in tokens]
    assert b"".join(pieces) == text.encode(), (kind, text, tokens)
    return ids, [len(piece) for piece in pieces]


def ends(lengths):
    return torch.tensor(lengths).cumsum(0).tolist()


def common(a, b):
    """[from, to, other from, other to] of each span: cut where both have a border."""
    first, second = ends(a), ends(b)
    spans, at = [], (0, 0)
    for border in sorted(set(first) & set(second)):
        to = (first.index(border) + 1, second.index(border) + 1)
        spans.append([at[0], to[0], at[1], to[1]])
        at = to
    return spans


def against_trl(a, b, spans):
    try:
        from trl.experimental.gold.gold_trainer import ULDLoss
    except ImportError:
        return "trl not installed: not compared"
    offsets = lambda lengths: [(end - length, end) for end, length in zip(ends(lengths), lengths)]
    own, other = ULDLoss._align_by_byte_offsets(offsets(a), offsets(b))
    assert [[s[0], s[-1] + 1, t[0], t[-1] + 1] for s, t in zip(own, other)] == spans
    return "spans equal to TRL's GOLD alignment"


def loss_case(seed, starts, words, alike, alpha, clip):
    """Rows of one sequence: starts[n] and words[n] are the first rows of n's span and word. The teacher's log-probability of a span stands on each of its
    rows. A row answers for its word, the first span behind it and, where it begins the word, for the word before; for itself where all are alike."""
    rows, vocab = len(starts), 7
    g = torch.Generator().manual_seed(seed)
    z = (torch.randn(rows, vocab, generator=g) * 2).double().requires_grad_(True)
    labels = torch.randint(0, vocab, (rows,), generator=g)
    of_span = {start: -float(torch.rand(1, generator=g) * 6) for start in sorted(set(starts))}
    token = z.log_softmax(-1).gather(1, labels[:, None])[:, 0]
    sampler = token.detach() + torch.randn(rows, generator=g).double() * 0.5
    advantage, weight, coefficient = 0.7, 1 / rows, 0.8
    delta = {start: sum(token.detach()[n] for n in range(rows) if starts[n] == start) - of_span[start] for start in of_span}
    order = sorted(set(words))
    spans_of = {word: [start for start in of_span if words[start] == word] for word in order}

    def answers(n):
        if alike:
            return delta[n]
        at = order.index(words[n])
        asked = list(spans_of[words[n]])
        if at + 1 < len(order):
            asked.append(min(spans_of[order[at + 1]]))
        if n == words[n] and at > 0:
            asked += spans_of[order[at - 1]]
        return sum(delta[start] for start in asked)

    gaps = torch.stack([answers(n) for n in range(rows)])
    shares = torch.stack([delta[start] / starts.count(start) for start in starts])
    ratio = (token.detach() - sampler).exp().clamp(max=clip)
    loss = ((alpha * coefficient * gaps * ratio * token - (1 - alpha) * advantage * ratio * token) * weight).sum()
    (gradient,) = torch.autograd.grad(loss, z)
    numbers = lambda x: [float(f"{v:.10g}") for v in x.detach().double().flatten().tolist()]
    return {
        "spans": {"starts": starts, "words": words, "alike": alike}, "vocab": vocab, "options": {"alpha": alpha, "klCoef": coefficient, "ratioClip": clip},
        "logits": numbers(z), "labels": labels.tolist(), "weights": [weight] * rows, "advantages": [advantage] * rows,
        "samplerLogprobs": numbers(sampler), "sampled": [1] * rows, "logprobs": numbers(token), "teacherLogprobs": [of_span[start] for start in starts],
        "gaps": numbers(gaps), "loss": numbers(loss)[0], "rows": numbers(shares), "gradient": numbers(gradient),
    }


def main():
    tokenizers = {kind: Tokenizer.from_file(str(HERE / "encoder" / kind / "tokenizer.json")) for kind in KINDS}
    texts = []
    for text in TEXTS:
        (ids, own), (other_ids, other) = (encoded(kind, tokenizers[kind], text) for kind in KINDS)
        spans = common(own, other)
        said = against_trl(own, other, spans)
        texts.append({"text": text, "ids": [ids, other_ids], "lengths": [own, other], "spans": spans})
    print(said)
    losses = [
        loss_case(1, [0, 1, 2, 3], [0, 0, 2, 3], True, 1, 10),
        loss_case(2, [0, 0, 2, 3, 3, 3], [0, 0, 2, 3, 3, 3], False, 1, 10),
        loss_case(3, [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], False, 0.6, 1.1),
        loss_case(4, [0, 1, 1, 3, 4, 4, 4, 4, 8], [0, 0, 0, 3, 3, 3, 3, 3, 8], False, 0.25, 10),
        loss_case(5, [0, 1, 2, 2, 4, 5, 6], [0, 0, 2, 2, 2, 5, 6], False, 1, 10),
    ]
    body = json.dumps({"source": f"PyTorch {torch.__version__.split('+')[0]}, float64, test/golden/spans.py", "kinds": KINDS, "texts": texts, "losses": losses}, ensure_ascii=True, separators=(",", ":"))
    OUT.write_text(body + "\n")
    print(f"{sum(len(t['spans']) for t in texts)} spans of {len(texts)} texts, {len(losses)} losses, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
