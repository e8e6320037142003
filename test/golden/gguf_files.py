"""Golden fixtures of GGUF files: small random models as llama.cpp's converter lays them out, with what transformers makes of them.

    python test/golden/gguf_files.py            # writes test/golden/fixtures/gguf/
    python test/golden/gguf_files.py --check D  # D is a directory that Retort made of FILE.gguf: compares it with FILE.gguf in transformers
                                          # (--check D FILE.gguf)

Needs torch, transformers >= 5, tokenizers, sentencepiece and gguf. blocks.json has, for each element type, random blocks and their elements as
the gguf package dequantises them (base64). NAME.gguf is a model, NAME.json what is expected of it: rows (token ids) and their logits [T, V];
"reader" is "gguf" where transformers' own GGUF reader gave the logits, and "directory" where it passes over what the file says (rotary
scaling, the Gemma families' settings) and the model that the file was made of gave them; texts with their ids; keys of config.json.
"""

import argparse
import base64
import io
import json
import tempfile
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import torch
from gguf import GGMLQuantizationType as Q
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config, Gemma3TextConfig, GemmaConfig, LlamaConfig, Qwen2Config, Qwen3Config

FIXTURES = Path(__file__).parent / "fixtures" / "gguf"
CORPUS = [
    "The cat sat on the mat, and the hat was flat. 3 + 14 = 17; 2026 is a year. It's the cat's mat, isn't it?",
    "On-policy distillation: the student learns from its own samples. Ünïcödé, 日本語 and émojis too.\n\nA second paragraph.",
    "  Indented code:\n    for i in range(10):\n        print(i, 1234567)\n",
]
TEXTS = [
    "the cat sat",
    " The  hat\n\n1. was 1234567!",
    "Ünïcödé 日本語 🙂 İstanbul e\u0301",
    "It's ISN'T we'LL",
    "<|user|>a special<|end|> inside </s> <think>",
    "\t tabs\r\nand   runs    of spaces \n \n",
    "",
]
SPECIALS = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|user|>' if m['role'] == 'user' else '<|assistant|>' }}{{ m['content'] }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MESSAGES = [{"role": "user", "content": "the cat?"}]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
SPLITS = {
    "llama-bpe": [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)],
    "qwen2": [pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)],
    "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
}
SIMPLE = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
TYPES = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K]
K_SCALES = {Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}  # places of a block's float16 scales


def quantised(values, kind, random):
    """[rows, columns] in a type; the K types have no quantiser in Python, so theirs are random blocks of about the values' size."""
    if kind not in K_SCALES:
        return gguf.quants.quantize(values, kind)
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (values.size // elements, size), dtype=np.uint8)
    for at in K_SCALES[kind]:
        scale = np.float16(random.uniform(0.5, 1, (len(blocks), 1)) * (2e-5 if kind == Q.Q6_K else 2e-4))
        blocks[:, at : at + 2] = scale.view(np.uint8)
    return blocks.reshape(values.shape[0], -1)


def blocks():
    random = np.random.default_rng(1)
    result = {}
    for kind in TYPES:
        data = quantised(random.normal(0, 2, (3, 256)).astype(np.float32), kind, random)
        result[kind.name] = [encoded(data), encoded(gguf.quants.dequantize(data, kind).astype(np.float32))]
    write("blocks.json", result)


def encoded(array):
    return base64.b64encode(array.tobytes()).decode()


def byte_level(writer, pre):
    """A byte-level BPE trained on a few words; returns it as the original tokenizer of its kind would be."""
    raw = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    raw.normalizer = normalizers.NFC() if pre == "qwen2" else None
    raw.pre_tokenizer = pre_tokenizers.Sequence(SPLITS[pre])
    raw.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=318, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False)
    raw.train_from_iterator(CORPUS, trainer)
    raw.add_tokens(["<think>"])
    vocab = sorted(raw.get_vocab(), key=raw.token_to_id)
    kinds = [3 if token in SPECIALS else 4 if token == "<think>" else 1 for token in vocab]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    # What fills the vocabulary up to the rows of the embedding.
    writer.add_token_list(vocab + ["[PAD319]"])
    writer.add_token_types(kinds + [5])
    writer.add_token_merges([" ".join(pair) for pair in json.loads(raw.to_str())["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(pre == "llama-bpe")
    return raw, len(vocab) + 1


def pieces(writer, gemma):
    """A SentencePiece BPE with byte fallback, as llama.cpp's converter lists it; returns the processor."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=model, model_type="bpe", vocab_size=380, byte_fallback=True, hard_vocab_limit=False,
        user_defined_symbols=["<|user|>", "<|end|>", "<think>"], normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=not gemma, minloglevel=2, character_coverage=0.9995, max_sentencepiece_length=16, split_digits=True,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(processor.vocab_size())
    kind = lambda id: 2 if processor.is_unknown(id) else 3 if processor.is_control(id) else 6 if processor.is_byte(id) else 1
    names = [processor.id_to_piece(id) for id in ids]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(names)
    writer.add_token_scores([processor.get_score(id) for id in ids])
    writer.add_token_types([4 if name in ("<|user|>", "<|end|>", "<think>") else kind(id) for id, name in zip(ids, names)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if gemma:
        writer.add_add_space_prefix(False)
    return processor, len(names)


def randomised(config, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    offset = 0 if "gemma" in config.model_type else 1
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            weight.copy_(offset + 0.2 * noise if "norm" in name else 0.25 * noise)
    return model


def fixture(name, config, kinds, tokenizer, seed, reader="gguf", extra=lambda writer, arch, model: None):
    """@param kinds the element type of each matrix, by layer and part, over and over"""
    arch = {"gemma3_text": "gemma3"}.get(config.model_type, config.model_type)
    path = FIXTURES / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, arch)
    random = np.random.default_rng(seed)
    original, vocab = tokenizer(writer)
    config.vocab_size = vocab
    config.bos_token_id, config.eos_token_id, config.pad_token_id = None, None, None
    model = randomised(config, seed)
    if set(kinds) <= {Q.F16, Q.BF16}:
        for weight in model.parameters():  # but not the rotary frequencies
            weight.data = weight.data.to(torch.float16 if Q.F16 in kinds else torch.bfloat16).to(torch.float32)
    metadata(writer, config)
    writer.add_chat_template(TEMPLATE)
    extra(writer, arch, model)
    tensors(writer, arch, model, kinds, random)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if reader == "gguf":
        model = AutoModelForCausalLM.from_pretrained(FIXTURES, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    golden(name, model, reader, texts_of(name, original))


def metadata(writer, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if config.model_type == "llama":
        writer.add_rope_dimension_count(head)
    elif config.model_type != "qwen2":
        writer.add_key_length(head)
        writer.add_value_length(head)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])


def tensors(writer, arch, model, kinds, random):
    config = model.config
    names = gguf.get_tensor_name_map(next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == arch), config.num_hidden_layers)
    matrices = 0
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.numpy().copy()
        if arch == "llama" and (".q_proj." in name or ".k_proj." in name):
            heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
            values = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            values = values + 1
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if values.ndim == 1:
            writer.add_tensor(target, values)
            continue
        kind = kinds[matrices % len(kinds)]
        if kind in K_SCALES and values.shape[-1] % 256:
            kind = Q.Q8_0
        matrices += 1
        writer.add_tensor(target, quantised(values, kind, random), raw_dtype=kind)


def texts_of(name, original):
    """The ids of texts with special tokens: by transformers' GGUF reader, but where it passes over how text is split or normalised."""
    if name in ("llama-linear", "qwen2"):
        return [{"text": text, "ids": original.encode(text).ids} for text in TEXTS]
    if name == "gemma":  # it does not know the architecture
        return []
    fast = AutoTokenizer.from_pretrained(FIXTURES, gguf_file=f"{name}.gguf")
    return [{"text": text, "ids": fast.encode(text)} for text in TEXTS]


def golden(name, model, reader, texts):
    generator = torch.Generator().manual_seed(7)
    rows = [torch.randint(0, model.config.vocab_size, (length,), generator=generator).tolist() for length in (6, 1)]
    with torch.no_grad():
        logits = [model(torch.tensor([row])).logits[0].tolist() for row in rows]
    rounded = [[[float(f"{x:.7g}") for x in position] for position in row] for row in logits]
    config = model.config.to_dict()
    keys = [
        "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings", "attention_bias", "mlp_bias", "rope_parameters",
        "sliding_window", "layer_types", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "hidden_activation",
    ]  # fmt: skip
    probes = {}
    for weight, value in model.state_dict().items():
        if weight == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        flat = value.double().flatten()
        probes[weight] = [list(value.shape), (flat * torch.arange(flat.numel(), dtype=torch.float64).cos()).sum().item()]
    write(f"{name}.json", {"reader": reader, "config": {key: config[key] for key in keys if key in config}, "rows": rows, "logits": rounded, "weights": probes, "texts": texts})


def write(name, value):
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=False) + "\n")


def llama3_factors(writer, arch, model):
    """rope_freqs.weight as llama.cpp's converter computes it."""
    rope = model.config.rope_parameters
    dims = torch.arange(0, model.config.head_dim, 2, dtype=torch.float32) / model.config.head_dim
    wavelengths = 2 * np.pi * rope["rope_theta"] ** dims
    factors = []
    for length in wavelengths.tolist():
        original, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
        smooth = (original / length - low) / (high - low)
        factors.append(1 if length < original / high else rope["factor"] if length > original / low else 1 / ((1 - smooth) / rope["factor"] + smooth))
    writer.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    writer.add_eot_token_id(2)


def linear(writer, arch, model):
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(model.config.rope_parameters["factor"])


def gemma2(writer, arch, model):
    writer.add_sliding_window(model.config.sliding_window)
    writer.add_attn_logit_softcapping(model.config.attn_logit_softcapping)
    writer.add_final_logit_softcapping(model.config.final_logit_softcapping)


def gemma3(writer, arch, model):
    writer.add_sliding_window(model.config.sliding_window)
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(model.config.rope_parameters["full_attention"]["factor"])


def make():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for old in FIXTURES.iterdir():
        old.unlink()
    blocks()
    plain = lambda theta, **scaling: dict(rope_type="default", rope_theta=theta) | scaling
    spm = lambda writer: pieces(writer, False)
    bpe = lambda pre: lambda writer: byte_level(writer, pre)
    fixture("llama", LlamaConfig(**SIMPLE, rms_norm_eps=1e-5, rope_parameters=plain(10000.0)), TYPES[3:8], spm, 1)
    scaled = plain(500000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
    fixture(
        "llama-scaled", LlamaConfig(**SIMPLE, tie_word_embeddings=True, rope_parameters=scaled), [Q.F16], bpe("llama-bpe"), 2,
        "directory", llama3_factors,
    )
    fixture(
        "llama-linear", LlamaConfig(**SIMPLE, attention_bias=True, rope_parameters=plain(10000.0, rope_type="linear", factor=4.0)),
        [Q.F32], bpe("smollm"), 3, "directory", linear,
    )
    wide = SIMPLE | dict(intermediate_size=256, num_hidden_layers=3)
    fixture("qwen2", Qwen2Config(**wide, rms_norm_eps=1e-6, rope_parameters=plain(1000000.0)), [Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.Q4_K], bpe("qwen2"), 4)
    heads = SIMPLE | dict(num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=128)
    fixture("qwen3", Qwen3Config(**heads, tie_word_embeddings=True, rope_parameters=plain(1000000.0)), [Q.BF16], bpe("gpt-2"), 5)
    gem = SIMPLE | dict(head_dim=16)
    spm = lambda writer: pieces(writer, True)
    fixture("gemma", GemmaConfig(**gem), [Q.F16], spm, 6, "directory")
    fixture(
        "gemma2", Gemma2Config(**gem, sliding_window=4, query_pre_attn_scalar=16, attn_logit_softcapping=20.0, final_logit_softcapping=10.0),
        [Q.BF16], spm, 7, "directory", gemma2,
    )
    rope = dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000000.0), sliding_attention=plain(10000.0))
    many = gem | dict(hidden_size=16, num_hidden_layers=7)
    fixture(
        "gemma3", Gemma3TextConfig(**many, sliding_window=4, query_pre_attn_scalar=16, rope_parameters=rope), [Q.F32], spm, 8,
        "directory", gemma3,
    )


def check(directory, file):
    file = Path(file)
    theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    ours = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    weights = max((value - ours.state_dict()[name]).abs().max().item() for name, value in theirs.state_dict().items())
    row = torch.randint(0, ours.config.vocab_size, (1, 32), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        logits = (theirs(row).logits - ours(row).logits).abs().max().item()
    print(f"largest difference of weights {weights}, of logits {logits}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2, metavar=("DIRECTORY", "FILE"))
    arguments = parser.parse_args()
    check(*arguments.check) if arguments.check else make()
