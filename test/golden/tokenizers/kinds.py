"""Small tokenizers of every kind of the Rust core, and directories that transformers reads in its own way: {name: {file: object}}."""
import base64
import json
import tempfile

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from texts import corpus

LINES = corpus()
BYTES = [f"<0x{i:02X}>" for i in range(256)]
GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}


def trained(model, trainer, normalizer=None, pre=None):
    t = Tokenizer(model)
    if normalizer: t.normalizer = normalizer
    if pre: t.pre_tokenizer = pre
    t.train_from_iterator(LINES, trainer)
    return json.loads(t.to_str())


def token(content, id, **flags):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def part(p):
    """A part of the core as its JSON."""
    return json.loads(p.__getstate__())


CHARS = trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=260, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False), pre=pre_tokenizers.Whitespace())["model"]
BYTEBPE = trained(models.BPE(), trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>", "<|im_end|>"], show_progress=False), pre=pre_tokenizers.ByteLevel(add_prefix_space=False))["model"]
SPIECES = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), trainers.BpeTrainer(vocab_size=460, special_tokens=["<unk>", "<s>", "</s>", *BYTES], show_progress=False), pre=pre_tokenizers.Metaspace())["model"]
UNI = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=260, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False), pre=pre_tokenizers.Metaspace())["model"]
UNI5 = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=260, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False), pre=pre_tokenizers.Metaspace())["model"]
WP = trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False), normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer())["model"]
WL = trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(special_tokens=["<unk>", "<s>", "</s>"], show_progress=False), pre=pre_tokenizers.Whitespace())["model"]


def tj(model, **parts):
    """A tokenizer.json of a model and parts."""
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, **parts, "model": model}


def kind(tokenizer, config=None, **files):
    found = {"tokenizer.json": tokenizer, "tokenizer_config.json": GENERIC if config is None else config}
    return {**found, **{name.replace("__", "."): value for name, value in files.items()}}


def own_charsmap():
    """A charsmap of our own rules, compiled by sentencepiece."""
    import sentencepiece
    with tempfile.TemporaryDirectory() as d:
        rules = {"ﬁ": "fi", "①": "1", "Ａ": "a", "ß": "ss", "\u200b": " ", "\u00a0": " ", "…": "...", "\t": " ", "é": "e"}
        with open(f"{d}/rules.tsv", "w", encoding="utf-8") as f:
            for a, b in rules.items(): f.write(f"{' '.join(f'{ord(c):X}' for c in a)}\t{' '.join(f'{ord(c):X}' for c in b)}\n")
        with open(f"{d}/lines.txt", "w", encoding="utf-8") as f: f.write("\n".join(LINES))
        sentencepiece.SentencePieceTrainer.train(input=f"{d}/lines.txt", model_prefix=f"{d}/m", vocab_size=300, hard_vocab_limit=False, normalization_rule_tsv=f"{d}/rules.tsv", minloglevel=2)
        model = open(f"{d}/m.model", "rb").read()
        # ModelProto.normalizer_spec (3) .precompiled_charsmap (2)
        return base64.b64encode(field(field(model, 3), 2)).decode()


def field(message, number):
    """The bytes of a length-delimited field of a protobuf message."""
    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]; at += 1
            value |= (byte & 127) << shift; shift += 7
            if byte < 128: return value, at
    at = 0
    while at < len(message):
        tag, at = varint(at)
        if tag & 7 == 2:
            length, at = varint(at)
            if tag >> 3 == number: return message[at:at + length]
            at += length
        elif tag & 7 == 0: _, at = varint(at)
        else: at += 4 if tag & 7 == 5 else 8


def core_kinds():
    """One kind for every part of the core."""
    N, P, D = normalizers, pre_tokenizers, decoders
    out = {}
    norms = {"nfc": N.NFC(), "nfd": N.NFD(), "nfkc": N.NFKC(), "nfkd": N.NFKD(), "lowercase": N.Lowercase(), "strip": N.Strip(left=True, right=False),
             "strip-accents": N.Sequence([N.NFD(), N.StripAccents()]), "replace-string": N.Replace("a", "ee"), "nmt": N.Nmt(), "prepend": N.Prepend("the "),
             "bert": N.BertNormalizer(), "bert-cased": N.BertNormalizer(lowercase=False, handle_chinese_chars=False), "bert-accents": N.BertNormalizer(strip_accents=True, lowercase=False, clean_text=False)}
    for name, n in norms.items(): out[f"normalizer-{name}"] = kind(tj(CHARS, normalizer=part(n), pre_tokenizer=part(P.Whitespace()), decoder=part(D.Fuse())))
    out["normalizer-replace-regex"] = kind(tj(CHARS, normalizer={"type": "Replace", "pattern": {"Regex": "\\s{2,}|\\p{N}+"}, "content": "7"}, decoder=part(D.Fuse())))
    out["normalizer-charsmap"] = kind(tj(UNI, normalizer={"type": "Precompiled", "precompiled_charsmap": own_charsmap()}, pre_tokenizer=part(P.Metaspace()), decoder=part(D.Metaspace())))
    out["normalizer-bytes"] = kind(tj(BYTEBPE, normalizer={"type": "ByteLevel"}, decoder=part(D.ByteLevel())))
    pres = {"bert": P.BertPreTokenizer(), "delimiter": P.CharDelimiterSplit("e"), "digits": P.Digits(individual_digits=False), "digits-each": P.Digits(individual_digits=True),
            "metaspace-first": P.Metaspace(prepend_scheme="first"), "metaspace-never": P.Metaspace(prepend_scheme="never"), "metaspace-whole": P.Metaspace(split=False),
            "scripts": P.UnicodeScripts(), "whitespace": P.Whitespace(), "whitespace-split": P.WhitespaceSplit(), "fixed-length": P.FixedLength(length=3)}
    for b in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        pres[f"punctuation-{b}"] = P.Punctuation(behavior=b)
        pres[f"split-{b}"] = P.Split(Regex("\\p{N}+|\\s"), behavior=b)
        pres[f"split-inverted-{b}"] = P.Split(Regex("[\\p{L}\\p{M}]+"), behavior=b, invert=True)
    pres["split-string"] = P.Split("th", behavior="isolated")
    for name, p in pres.items(): out[f"pre-{name}"] = kind(tj(CHARS, pre_tokenizer=part(p), decoder=part(D.Fuse())))
    for prefix in (True, False):
        for regex in (True, False):
            out[f"bytes-{'prefix' if prefix else 'none'}-{'regex' if regex else 'whole'}"] = kind(tj(BYTEBPE, pre_tokenizer=part(P.ByteLevel(add_prefix_space=prefix, use_regex=regex)), decoder=part(D.ByteLevel()), post_processor=part(processors.ByteLevel(trim_offsets=False))))
    seq = lambda pattern: {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}, part(P.ByteLevel(add_prefix_space=False, use_regex=False))]}
    out["bytes-by-threes"] = kind(tj({**BYTEBPE, "ignore_merges": True}, pre_tokenizer=seq("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), decoder=part(D.ByteLevel())))
    out["bytes-digits"] = kind(tj(BYTEBPE, pre_tokenizer={"type": "Sequence", "pretokenizers": [part(P.Digits(individual_digits=True)), part(P.ByteLevel(add_prefix_space=False))]}, decoder=part(D.ByteLevel())))
    spaces = part(D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]))
    out["bpe-byte-fallback"] = kind(tj(SPIECES, normalizer=part(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])), decoder=spaces))
    out["bpe-no-unknown"] = kind(tj({**CHARS, "unk_token": None}, pre_tokenizer=part(P.Whitespace())))
    out["bpe-unknown-missing"] = kind(tj({**CHARS, "unk_token": "<none>"}, pre_tokenizer=part(P.Whitespace())))
    out["bpe-fuse-unknown"] = kind(tj({**CHARS, "fuse_unk": True}, pre_tokenizer=part(P.WhitespaceSplit()), decoder=part(D.BPEDecoder())))
    suffixed = trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), trainers.BpeTrainer(vocab_size=330, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False), pre=P.Whitespace())["model"]
    out["bpe-word-suffix"] = kind(tj(suffixed, pre_tokenizer=part(P.Whitespace()), decoder=part(D.BPEDecoder("</w>"))))
    prefixed = trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), trainers.BpeTrainer(vocab_size=330, special_tokens=["<unk>"], continuing_subword_prefix="##", show_progress=False), pre=P.Whitespace())["model"]
    out["bpe-word-prefix"] = kind(tj(prefixed, pre_tokenizer=part(P.Whitespace()), decoder=part(D.WordPiece())))
    out["wordpiece"] = kind(tj(WP, normalizer=part(N.BertNormalizer()), pre_tokenizer=part(P.BertPreTokenizer()), decoder=part(D.WordPiece(cleanup=False)), post_processor=part(processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)))))
    out["wordpiece-short"] = kind(tj({**WP, "max_input_chars_per_word": 4, "continuing_subword_prefix": "##"}, pre_tokenizer=part(P.WhitespaceSplit()), decoder=part(D.WordPiece())))
    out["wordlevel"] = kind(tj(WL, pre_tokenizer=part(P.Whitespace())))
    out["wordlevel-unknown-missing"] = kind(tj({**WL, "unk_token": "[none]"}, pre_tokenizer=part(P.WhitespaceSplit())))
    out["unigram"] = kind(tj(UNI, pre_tokenizer=part(P.Metaspace()), decoder=part(D.Metaspace())))
    out["unigram-bytes"] = kind(tj({**UNI, "vocab": UNI["vocab"] + [[b, -12.0] for b in BYTES], "byte_fallback": True}, pre_tokenizer=part(P.Metaspace()), decoder=part(D.Sequence([D.ByteFallback(), D.Metaspace()]))))
    out["unigram-no-unknown"] = kind(tj({**UNI, "unk_id": None}, pre_tokenizer=part(P.Metaspace())))
    out["roberta-processing"] = kind(tj(BYTEBPE, pre_tokenizer=part(P.ByteLevel(add_prefix_space=False)), decoder=part(D.ByteLevel()), post_processor=part(processors.RobertaProcessing(("</s>", 1), ("<s>", 0)))))
    template = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 1)])
    out["template"] = kind(tj(BYTEBPE, pre_tokenizer=part(P.ByteLevel()), decoder=part(D.ByteLevel()), post_processor=part(template)))
    out["template-sequence"] = kind(tj(BYTEBPE, pre_tokenizer=part(P.ByteLevel()), decoder=part(D.ByteLevel()), post_processor={"type": "Sequence", "processors": [part(processors.ByteLevel()), part(template)]}))
    out["decoder-ctc"] = kind(tj(WL, pre_tokenizer=part(P.Whitespace()), decoder=part(D.CTC(pad_token="<s>", word_delimiter_token="|"))))
    out["cut-and-padded"] = kind(tj(CHARS, truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}, padding={"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}, pre_tokenizer=part(P.Whitespace())))
    flags = [token("<s>", 1), token("<x>", 900, single_word=True), token("<mask>", 901, lstrip=True), token("<tool>", 902, rstrip=True, special=False), token("ÉTÉ", 903, normalized=True, special=False), token("the qu", 904, special=False), token("the", 905, special=False, normalized=True), token("quick", 906, normalized=True, lstrip=True, rstrip=True, single_word=True)]
    for name, n in {"lowercase": N.Lowercase(), "none": None, "prepend": N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])}.items():
        out[f"added-{name}"] = kind(tj(SPIECES, added_tokens=flags, normalizer=part(n) if n else None, decoder=spaces))
    return out
