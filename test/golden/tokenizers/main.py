"""Ids and texts of small tokenizers as transformers gives them: writes ../fixtures/tokenizers/{texts,kinds,expected}.json.

    HF_HUB_OFFLINE=1 python test/golden/tokenizers/main.py     # transformers 5.24, tokenizers 0.23.3, sentencepiece
"""
import hashlib
import json
import os
import pathlib
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"], os.environ["TRANSFORMERS_VERBOSITY"] = "1", "error"
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from transformers import AutoTokenizer

from texts import texts

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "tokenizers"


def line(record):
    """A record as one line, the same in JavaScript: ids, ids with special tokens, the text back; `raises` where Python does."""
    return "raises" if record is None else "|".join([",".join(map(str, record[0])), ",".join(map(str, record[1])), record[2]])


def record(tokenizer, text):
    try:
        plain = tokenizer(text, add_special_tokens=False).input_ids
        return [plain, tokenizer(text).input_ids, tokenizer.decode(plain, skip_special_tokens=True, clean_up_tokenization_spaces=False)]
    except Exception:
        return None


def expected(directory, inputs):
    """What transformers makes of a directory: the first records in full, a digest of all; None if it does not load."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    except Exception as error:
        print(os.path.basename(directory), "raises", str(error)[:100])
        return {"raises": str(error)[:200]}
    records = [record(tokenizer, text) for text in inputs]
    pair = tokenizer("the quick", "brown fox", return_token_type_ids=True)
    specials = {name: tokenizer.convert_tokens_to_ids(getattr(tokenizer, name)) if getattr(tokenizer, name) else None for name in ["bos_token", "eos_token", "pad_token", "unk_token"]}
    digest = hashlib.sha256("\n".join(map(line, records)).encode("utf-8", "surrogatepass")).hexdigest()
    return {"class": type(tokenizer).__name__, "specials": specials, "size": max(tokenizer.get_vocab().values(), default=-1) + 1, "first": records[:24], "digest": digest,
            "pair": [pair.input_ids, pair.token_type_ids] if records[5] else None}


def write(directory, files):
    for name, content in files.items():
        (pathlib.Path(directory) / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def main():
    from directories import of_classes, with_files
    from kinds import core_kinds

    OUT.mkdir(parents=True, exist_ok=True)
    inputs = texts()
    kinds = {**core_kinds(), **with_files(), **of_classes()}
    found = {}
    for name, files in kinds.items():
        with tempfile.TemporaryDirectory() as d:
            os.mkdir(f"{d}/{name}")
            write(f"{d}/{name}", files)
            found[name] = expected(f"{d}/{name}", inputs)
    # Models are most of the bytes and few: each is stored once.
    models = {}
    for files in kinds.values():
        model = files["tokenizer.json"]["model"]
        key = hashlib.sha256(json.dumps(model).encode()).hexdigest()[:12]
        models[key] = model
        files["tokenizer.json"] = {**files["tokenizer.json"], "model": key}
    dump = lambda name, value: (OUT / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")
    dump("texts.json", inputs)
    dump("kinds.json", {"models": models, "kinds": kinds})
    dump("expected.json", found)
    print(len(kinds), "kinds,", sum("raises" in e for e in found.values()), "do not load")


if __name__ == "__main__":
    main()
