"""Golden fixtures of the decoder families: small random models in Hugging Face directories, with what transformers makes of them.

    python test/golden/models.py            # writes test/golden/fixtures/models/
    python test/golden/models.py --check D  # prints the largest difference between a directory that Retort saved and golden D/golden.json

Needs torch, transformers >= 5, tokenizers and safetensors. Every fixture holds config.json, the weights, the tokenizer and golden.json:
rows (token ids), logits [T, V] of each row run alone, and of the loss Σ logits² over all rows, for each weight, the gradient's L2 norm and its
product with cos(0), cos(1), … (row-major).
"""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config

FIXTURES = Path(__file__).parent / "fixtures" / "models"
SPECIALS = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
CORPUS = [
    "The cat sat on the mat, and the hat was flat. 3 + 14 = 17; 2026 is a year.",
    "On-policy distillation: the student learns from its own samples. Ünïcödé, 日本語 and émojis too.",
]
TEXTS = [
    "the cat sat",
    " The  hat\n\nwas 1234!",
    "Ünïcödé 日本語 🙂",
    "<s>a special</s> inside",
    "",
]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{{ m['content'] | trim }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MESSAGES = [{"role": "user", "content": "  the cat? "}, {"role": "assistant", "content": "sat"}, {"role": "user", "content": "where"}]
BASE = dict(
    hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    initializer_range=0.25, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=0, use_cache=False,
)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16,
)


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with single digits, as the current families use it, trained on a few words."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=288, special_tokens=SPECIALS, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    raw.train_from_iterator(CORPUS, trainer)
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="<pad>", clean_up_tokenization_spaces=False)
    fast.chat_template = TEMPLATE
    return fast


def randomised(config, seed):
    """A float32 model whose every weight is random, norms and biases included, so that none can be left out unseen."""
    torch.manual_seed(seed)
    return randomised_weights(AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval())


def randomised_weights(model):
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            weight.copy_(1 + 0.2 * noise if "norm" in name else 0.25 * noise)
    return model


def rows_of(vocab):
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, vocab, (length,), generator=generator).tolist() for length in (24, 1, 5)]


def logits_of(model, rows):
    return [model(torch.tensor([row])).logits[0] for row in rows]


def golden(directory, kind):
    """What transformers computes from the directory as it lies on disk."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    rows = rows_of(model.config.vocab_size)
    logits = logits_of(model, rows)
    sum((row**2).sum() for row in logits).backward()
    probes = {}
    for name, weight in model.named_parameters():
        flat = weight.grad.double().flatten()
        probes[name] = [flat.norm().item(), (flat * torch.arange(flat.numel(), dtype=torch.float64).cos()).sum().item()]
    rounded = [[[float(f"{x:.7g}") for x in position] for position in row.tolist()] for row in logits]
    write(directory / "golden.json", {"kind": kind, "rows": rows, "logits": rounded, "gradients": probes})


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n")


def fixture(name, kind, config, seed, dtype=torch.float32, shard=None, respell=None):
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    model = randomised(config, seed).to(dtype)
    model.save_pretrained(directory, max_shard_size=shard or "1GB")
    tokenizer().save_pretrained(directory)
    if respell:
        path = directory / "config.json"
        path.write_text(json.dumps(respell(json.loads(path.read_text())), indent=2) + "\n")
    golden(directory, kind)


def version4(config):
    """config.json as transformers 4 wrote it."""
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["transformers_version"] = "4.46.0"
    return config


def legacy_linear(config):
    """The oldest spelling of scaling: `type` instead of `rope_type`."""
    config = version4(config)
    config["rope_scaling"] = {"type": "linear", "factor": config["rope_scaling"]["factor"]}
    return config


def tokens():
    fast = AutoTokenizer.from_pretrained(FIXTURES / "llama")
    cases = [
        {
            "text": text,
            "ids": fast.encode(text, add_special_tokens=False),
            "idsSpecial": fast.encode(text, add_special_tokens=True),
            "decoded": fast.decode(fast.encode(text, add_special_tokens=True), skip_special_tokens=True),
            "decodedSpecial": fast.decode(fast.encode(text, add_special_tokens=True), skip_special_tokens=False),
        }
        for text in TEXTS
    ]
    chat = {str(add).lower(): fast.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=add) for add in (True, False)}
    write(FIXTURES / "tokens.json", {"cases": cases, "messages": MESSAGES, "chat": chat})


def make():
    vocab = len(tokenizer())
    base = dict(BASE, vocab_size=vocab)
    plain = dict(rope_type="default", rope_theta=10000.0)
    fixture("llama", "grouped queries, untied head", LlamaConfig(**base, tie_word_embeddings=False, rope_parameters=plain), 1)
    fixture(
        "llama-scaled", "llama3 rotary scaling, biases, tied head, head size apart from the width, config of transformers 4",
        LlamaConfig(**base, tie_word_embeddings=True, head_dim=8, attention_bias=True, rope_parameters=LLAMA3), 2, respell=version4,
    )
    linear = dict(rope_type="linear", rope_theta=5000.0, factor=4.0)
    fixture(
        "llama-linear", "linear rotary scaling in its oldest spelling, one key/value head, bfloat16 weights",
        LlamaConfig(**dict(base, num_key_value_heads=1), tie_word_embeddings=True, rope_parameters=linear), 3, dtype=torch.bfloat16, respell=legacy_linear,
    )
    fixture("qwen2", "projection biases, tied head", Qwen2Config(**base, tie_word_embeddings=True, rope_parameters=dict(plain, rope_theta=1e6)), 4)
    fixture(
        "qwen3", "head norms, head size apart from the width, untied head, float16 weights in shards",
        Qwen3Config(**base, head_dim=8, tie_word_embeddings=False, rope_parameters=dict(plain, rope_theta=1e6)), 5, dtype=torch.float16, shard="10KB",
    )
    tokens()


def check(directory, reference):
    """Loads what Retort saved in transformers and compares with the golden logits."""
    expected = json.loads((Path(reference) / "golden.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        found = logits_of(model, expected["rows"])
    worst = max((a - torch.tensor(b)).abs().max().item() for a, b in zip(found, expected["logits"]))
    AutoConfig.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    print(json.dumps({"directory": str(directory), "largestDifference": worst}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2, metavar=("DIRECTORY", "REFERENCE"))
    options = parser.parse_args()
    check(*options.check) if options.check else make()
