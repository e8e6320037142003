"""Golden fixtures of T5 in both of its forms: small random models in Hugging Face directories, with what transformers makes of them.

    python test/golden/t5.py            # writes test/golden/fixtures/t5/
    python test/golden/t5.py --check D REFERENCE  # prints the largest difference between a directory that Retort saved and golden REFERENCE/golden.json

Needs torch, transformers >= 5, tokenizers, sentencepiece and safetensors. Every fixture holds config.json, the weights, the tokenizer and
golden.json: rows (token ids of a prompt, and of what the decoder reads), logits [T, V] of each row run alone, and of the loss Σ logits² over
all rows, for each weight, the gradient's L2 norm and its product with cos(0), cos(1), … (row-major). `step` is one step of distillation as
PyTorch makes it: (prompt, completion), the teacher's log-probabilities, the loss (forward KL, mean over tokens, then over sequences), and the
gradients in the same form. tokens.json: ids of texts; buckets.json: buckets of offsets from -300 to 300.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models as tokenizer_models, pre_tokenizers, trainers
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5Config, T5ForConditionalGeneration, T5Tokenizer
from transformers.models.t5.modeling_t5 import T5Attention

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "tokenizers"))
from models import CORPUS, randomised_weights, write

FIXTURES = Path(__file__).parent / "fixtures" / "t5"
TEXTS = [
    "translate English to German: the cat sat.", " The  hat\n\nwas 1234!", "Ünïcödé 日本語 🙂 ﬁve", "<extra_id_0> the <extra_id_1>", "the cat</s> sat", "",
    "\tthe\u00a0hat…", "summarize: On-policy distillation learns from its own samples", "ＡＢ① ß",
]
SENTINELS = 5
BASE = dict(
    d_model=16, d_kv=6, d_ff=24, num_layers=2, num_decoder_layers=3, num_heads=4, relative_attention_num_buckets=8,
    relative_attention_max_distance=20, layer_norm_epsilon=1e-5, initializer_factor=1.0, decoder_start_token_id=0, n_positions=64,
)
LENGTHS = [(24, 9), (1, 1), (7, 30), (5, 4)]


def tokenizer():
    """Unigram as T5 has it: a charsmap, metaspace, an end token behind every text, sentinels at the end of the vocabulary."""
    from kinds import own_charsmap

    raw = Tokenizer(tokenizer_models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    raw.train_from_iterator(CORPUS * 4, trainer)
    vocab = [tuple(entry) for entry in json.loads(raw.to_str())["model"]["vocab"]]
    vocab += [(f"<extra_id_{i}>", 0.0) for i in reversed(range(SENTINELS))]
    import base64

    return T5Tokenizer(vocab=vocab, extra_ids=SENTINELS, _spm_precompiled_charsmap=base64.b64decode(own_charsmap()))


def loaded(directory):
    return AutoModelForSeq2SeqLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def rows_of(vocab, lengths=LENGTHS):
    """Prompts, and what the decoder reads: its start token first."""
    generator = torch.Generator().manual_seed(7)
    ids = lambda length: torch.randint(0, vocab, (length,), generator=generator).tolist()
    return [{"prompt": ids(prompt), "decoder": [0, *ids(decoder - 1)]} for prompt, decoder in lengths]


def logits_of(model, rows):
    return [model(input_ids=torch.tensor([row["prompt"]]), decoder_input_ids=torch.tensor([row["decoder"]])).logits[0] for row in rows]


def probes_of(model):
    """Of every weight's gradient: norm and projection. Gradients are cleared."""
    probes = {}
    for name, weight in model.named_parameters():
        flat = weight.grad.double().flatten()
        probes[name] = [flat.norm().item(), (flat * torch.arange(flat.numel(), dtype=torch.float64).cos()).sum().item()]
    model.zero_grad()
    return probes


def short(x, digits=7):
    return [[float(f"{v:.{digits}g}") for v in row] for row in x.tolist()]


def step_of(model, rows):
    """One step of distillation on completions that end with the end token; labels go in as transformers has them."""
    generator = torch.Generator().manual_seed(8)
    sequences, total = [], 0
    for row in rows:
        completion = [*row["decoder"][1:], 1]
        log_p = (torch.randn(len(completion), model.config.vocab_size, generator=generator) * 2).log_softmax(-1)
        log_q = model(input_ids=torch.tensor([row["prompt"]]), labels=torch.tensor([completion])).logits[0].log_softmax(-1)
        total = total + (log_p.exp() * (log_p - log_q)).sum(-1).mean() / len(rows)
        sequences.append({"prompt": row["prompt"], "completion": completion, "teacherLogprobs": short(log_p, 9)})
    total.backward()
    return {"sequences": sequences, "loss": total.item(), "gradients": probes_of(model)}


def golden(directory, kind):
    """What transformers computes from the directory as it lies on disk."""
    model = loaded(directory)
    rows = rows_of(model.config.vocab_size)
    logits = logits_of(model, rows)
    sum((row**2).sum() for row in logits).backward()
    found = {"kind": kind, "rows": rows, "logits": [short(row) for row in logits], "gradients": probes_of(model)}
    write(directory / "golden.json", {**found, "step": step_of(model, rows_of(model.config.vocab_size, [(6, 4), (2, 1), (9, 7)]))})


def fixture(name, kind, config, seed, words, dtype=torch.float32, own_head=False, respell=None):
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(config)
    if own_head:
        model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.shared.weight))
    model = randomised_weights(model.eval()).to(dtype)
    if not own_head:
        model.tie_weights()
    model.save_pretrained(directory)
    words.save_pretrained(directory)
    if respell:
        path = directory / "config.json"
        path.write_text(json.dumps(respell(json.loads(path.read_text())), indent=2) + "\n")
    golden(directory, kind)


def version4(config):
    """config.json of an untied T5 as transformers 4 wrote it."""
    config["torch_dtype"] = config.pop("dtype")
    config["tie_word_embeddings"] = config.pop("scale_decoder_outputs")
    config["output_past"], config["n_positions"], config["transformers_version"] = True, 512, "4.23.1"
    config.pop("is_decoder")
    return config


def tokens():
    words = AutoTokenizer.from_pretrained(FIXTURES / "t5")
    cases = [
        {
            "text": text, "ids": words.encode(text, add_special_tokens=False), "idsSpecial": words.encode(text),
            "decoded": words.decode(words.encode(text), skip_special_tokens=True, clean_up_tokenization_spaces=False),
        }
        for text in TEXTS
    ]
    write(FIXTURES / "tokens.json", {"cases": cases})


def buckets():
    offsets = torch.arange(-300, 301)
    cases = []
    for count, farthest in [(32, 128), (8, 20), (16, 50), (32, 64), (4, 7), (33, 101)]:
        for bidirectional in (True, False):
            found = T5Attention._relative_position_bucket(offsets, bidirectional=bidirectional, num_buckets=count, max_distance=farthest)
            cases.append({"count": count, "maxDistance": farthest, "bidirectional": bidirectional, "buckets": found.tolist()})
    write(FIXTURES / "buckets.json", cases)


def make():
    words = tokenizer()
    vocab = len(words) + 7
    fixture("t5", "relu, tied and scaled head", T5Config(**BASE, vocab_size=vocab, feed_forward_proj="relu"), 1, words)
    fixture(
        "flan", "gated GELU, head of its own, config of transformers 4",
        T5Config(**BASE, vocab_size=vocab, feed_forward_proj="gated-gelu", tie_word_embeddings=False), 2, words, own_head=True, respell=version4,
    )
    fixture(
        "flan-5", "gated GELU, head of its own under a tied flag as transformers 5 writes it, bfloat16 weights",
        T5Config(**{**BASE, "num_decoder_layers": 1}, vocab_size=vocab, feed_forward_proj="gated-gelu", tie_word_embeddings=False), 3, words,
        dtype=torch.bfloat16, own_head=True,
    )
    tokens()
    buckets()


def check(directory, reference):
    """Loads what Retort saved in transformers and compares with the golden logits."""
    expected = json.loads((Path(reference) / "golden.json").read_text())
    with torch.no_grad():
        found = logits_of(loaded(directory), expected["rows"])
    worst = max((a - torch.tensor(b)).abs().max().item() for a, b in zip(found, expected["logits"]))
    AutoTokenizer.from_pretrained(directory)
    print(json.dumps({"directory": str(directory), "largestDifference": worst}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2, metavar=("DIRECTORY", "REFERENCE"))
    options = parser.parse_args()
    check(*options.check) if options.check else make()
