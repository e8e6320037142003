"""Directories whose ids depend on more than tokenizer.json: files that add tokens, and classes that bring rules of their own."""
from tokenizers import decoders, normalizers, pre_tokenizers, processors

from kinds import BYTEBPE, CHARS, GENERIC, SPIECES, UNI, UNI5, WP, kind, own_charsmap, part, tj, token

P, D, N = pre_tokenizers, decoders, normalizers
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}


def with_files():
    """Special tokens that only the other files name."""
    byte = lambda **more: tj(BYTEBPE, pre_tokenizer=part(P.ByteLevel(add_prefix_space=False)), decoder=part(D.ByteLevel()), **more)
    chars = lambda **more: tj(CHARS, pre_tokenizer=part(P.Whitespace()), decoder=part(D.Fuse()), **more)
    typed = lambda content, **flags: {"__type": "AddedToken", "content": content, **flags}
    return {
        "files-config-only": kind(byte(), {**GENERIC, "bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<pad>", "additional_special_tokens": ["<|user|>", "<tool>"]}),
        "files-typed": kind(byte(), {"bos_token": typed("<s>", lstrip=True), "mask_token": typed("<mask>", lstrip=True, rstrip=False, special=False), "extra_special_tokens": [typed("<x>", normalized=True, single_word=True)]}, config__json={"model_type": "llama"}),
        "files-named-extra": kind(byte(), {**GENERIC, "eos_token": "</s>", "image_token": "<x>", "extra_special_tokens": {"tool_token": "<tool>"}}),
        "files-both-extra": kind(byte(), {**GENERIC, "extra_special_tokens": ["<tool>"], "additional_special_tokens": ["<x>"]}),
        "files-decoder": kind(byte(added_tokens=[token("<x>", 400), token("<tool>", 401, special=False)]), {**GENERIC, "bos_token": "<tool>", "eos_token": "<mask>", "added_tokens_decoder": {"400": {"content": "<x>", "lstrip": True, "rstrip": True, "normalized": False, "single_word": False, "special": True}, "7": {"content": "<mask>", "special": False, "normalized": True}, "401": {"content": "<tool>", "special": False}}}),
        "files-map": kind(byte(), GENERIC, special_tokens_map__json={"bos_token": {"content": "<s>", "lstrip": False, "normalized": False, "rstrip": True, "single_word": False}, "eos_token": "</s>", "additional_special_tokens": ["<tool>", "<x>"]}),
        "files-added": kind(byte(), {**GENERIC, "bos_token": "<s>"}, added_tokens__json={"<x>": 500, "<tool>": 330, "<s>": 0}, special_tokens_map__json={"eos_token": "<x>"}),
        "files-map-ignored": kind(byte(), {**GENERIC, "added_tokens_decoder": {}}, special_tokens_map__json={"eos_token": "<tool>"}),
        "files-padding-token": kind(chars(padding={"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None, "pad_id": 3, "pad_type_id": 0, "pad_token": "<tool>"}), GENERIC),
        "files-wrong-ids": kind(chars(added_tokens=[token("<x>", 7), token("<tool>", 9000), token("<s>", 5)]), {**GENERIC, "eos_token": "</s>"}),
        "files-empty-config": kind(chars(), {}),
        "files-unknown-class": kind(byte(post_processor=TEMPLATE), {"tokenizer_class": "NobodysTokenizer", "add_bos_token": False, "add_eos_token": True, "bos_token": "<s>", "eos_token": "</s>"}, config__json={"model_type": "llama"}),
        "files-sparse": kind(tj({"type": "WordLevel", "vocab": {"the": 0, "quick": 5, "brown": 50, "<unk>": 2}, "unk_token": "<unk>"}, pre_tokenizer=part(P.Whitespace()), added_tokens=[token("brown", 50), token("<x>", 4)]), {**GENERIC, "bos_token": "<s>", "eos_token": "</s>"}),
        "refused-token-object": kind(byte(), {**GENERIC, "bos_token": {"content": "<s>"}}),
        "refused-token-number": kind(byte(), {**GENERIC, "eos_token": 7}),
        "refused-map-objects": kind(byte(), GENERIC, special_tokens_map__json={"additional_special_tokens": [{"content": "<x>"}]}),
    }


def of_classes():
    """Classes of transformers that make the tokenizer anew from the vocabulary of tokenizer.json."""
    odd_bytes = tj(BYTEBPE, pre_tokenizer=part(P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=True)])), decoder=part(D.ByteLevel()), post_processor=TEMPLATE, added_tokens=[token("<s>", 0), token("<x>", 400, lstrip=True), token("<tool>", 401, special=False)])
    spieces = tj(SPIECES, normalizer=part(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])), decoder=part(D.Fuse()), added_tokens=[token("<s>", 1), token("</s>", 2), token("<unk>", 0), token("<x>", 600, normalized=True, special=False)], post_processor={**TEMPLATE, "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}})
    wp = tj(WP, normalizer=part(N.BertNormalizer(lowercase=False)), pre_tokenizer=part(P.WhitespaceSplit()), decoder=part(D.Fuse()))
    uni = tj(UNI, normalizer=part(N.NFKC()), pre_tokenizer=part(P.Metaspace(prepend_scheme="first")), decoder=part(D.Metaspace()))
    sentinels = {**UNI5, "vocab": UNI5["vocab"] + [[f"<extra_id_{i}>", 0.0] for i in (2, 1, 0)]}
    t5 = tj(sentinels, normalizer={"type": "Precompiled", "precompiled_charsmap": own_charsmap()}, pre_tokenizer=part(P.Metaspace(prepend_scheme="first")), decoder=part(D.Metaspace()), added_tokens=[token("<pad>", 0), token("</s>", 1), token("<unk>", 2), *(token(f"<extra_id_{i}>", 262 - i) for i in (2, 1, 0))])
    t5_plain = tj(UNI5, normalizer=part(N.Sequence([N.NFKC(), N.Lowercase()])), pre_tokenizer=part(P.Metaspace()))
    decoder_of_t5 = {str(i): {"content": content, "special": True, "lstrip": i > 2} for i, content in enumerate(["<pad>", "</s>", "<unk>"])}
    of = lambda name, type=None, **config: ({"tokenizer_class": name, **config} if name else config, {"config__json": {"model_type": type}} if type else {})
    rows = {
        "llama": (spieces, of("LlamaTokenizer", "llama", bos_token="<s>", eos_token="</s>", unk_token="<unk>")),
        "llama-legacy": (spieces, of("LlamaTokenizerFast", "llama", legacy=True, bos_token="<s>", eos_token="</s>", unk_token="<unk>")),
        "llama-no-prefix": (spieces, of("LlamaTokenizer", "llama", add_prefix_space=False, bos_token="<s>", pad_token="<pad>")),
        "llama-of-bytes": (odd_bytes, of("LlamaTokenizerFast", "llama", bos_token="<s>")),
        "llama-of-qwen2": (odd_bytes, of("LlamaTokenizerFast", "qwen2", bos_token="<s>", eos_token="</s>")),
        "llama-of-mistral": (spieces, of("LlamaTokenizer", "mistral", bos_token="<s>")),
        "llama-by-config": (spieces, ({}, {"config__json": {"model_type": "llama", "tokenizer_class": "LlamaTokenizer"}})),
        "qwen2": (odd_bytes, of("Qwen2Tokenizer", "qwen2", bos_token=None, eos_token="<|im_end|>", pad_token="<x>", additional_special_tokens=["<tool>"])),
        "qwen2-prefix": (odd_bytes, of("Qwen2TokenizerFast", "qwen3", add_prefix_space=True, unk_token=None, eos_token="<|im_end|>", pad_token="</s>")),
        "qwen2-decoder": (odd_bytes, of("Qwen2Tokenizer", "qwen3", eos_token="<|im_end|>", added_tokens_decoder={"400": {"content": "<x>", "rstrip": True, "special": True}})),
        "qwen2-of-generic": (odd_bytes, of("PreTrainedTokenizerFast", "qwen2", eos_token="<|im_end|>")),
        "qwen3-of-generic": (odd_bytes, of("PreTrainedTokenizerFast", "qwen3", eos_token="<|im_end|>")),
        "qwen3-nameless": (odd_bytes, of(None, "qwen3", eos_token="<|im_end|>")),
        "qwen35": (odd_bytes, of("Qwen3_5Tokenizer", "qwen3_5", eos_token="<|im_end|>")),
        "olmo2-of-gpt2": (odd_bytes, of("GPT2Tokenizer", "olmo2", eos_token="</s>")),
        "gpt2": (odd_bytes, of("GPT2Tokenizer", "gpt2", eos_token="</s>", unk_token="</s>", bos_token="<s>")),
        "gpt2-prefix": (odd_bytes, of("GPT2TokenizerFast", None, add_prefix_space=True)),
        "neox": (odd_bytes, of("GPTNeoXTokenizer", "gpt_neox", eos_token="</s>", bos_token="<s>", unk_token="</s>")),
        "cohere": (odd_bytes, of("CohereTokenizer", "cohere", bos_token="<s>", eos_token="</s>")),
        "gemma": (spieces, of("GemmaTokenizer", "gemma3_text", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>", mask_token="<x>")),
        "bert": (wp, of("BertTokenizer", "bert")),
        "bert-cased": (wp, of("BertTokenizerFast", "bert", do_lower_case=False, tokenize_chinese_chars=False, strip_accents=True)),
        "distilbert": (wp, of("DistilBertTokenizerFast", "distilbert", do_lower_case=True)),
        "bert-of-electra": (wp, of(None, "electra")),
        "roberta": (odd_bytes, of("RobertaTokenizer", "roberta")),
        "xlm-roberta": (uni, of("XLMRobertaTokenizer", "xlm-roberta")),
        "t5": (t5, of("T5Tokenizer", "t5", extra_ids=3, eos_token="</s>", pad_token="<pad>", unk_token="<unk>", additional_special_tokens=[f"<extra_id_{i}>" for i in range(3)])),
        "t5-sentinels": (t5, of("T5TokenizerFast", "t5", extra_ids=3)),
        "t5-hundred": (t5_plain, of("T5Tokenizer", "t5")),
        "t5-none": (t5_plain, of("T5Tokenizer", "t5", extra_ids=0, added_tokens_decoder=decoder_of_t5)),
        "t5-named": (t5_plain, of("T5Tokenizer", "t5", extra_special_tokens={"image_token": "<x>"}, eos_token="<x>")),
        "t5-others": (t5, of("T5Tokenizer", "t5", extra_special_tokens=["<tool>"], additional_special_tokens=["<x>"])),
        "t5-map": (t5_plain, of("T5Tokenizer", "t5", extra_ids=2)),
        "t5-map-sentinels": (t5, of("T5Tokenizer", "t5", extra_ids=3)),
        "t5-map-refused": (t5, of("T5Tokenizer", "t5")),
        "t5-empty": (t5_plain, of("T5Tokenizer", None, extra_special_tokens=[], extra_ids=7)),
        "t5-by-type": (t5, of(None, "t5", extra_ids=2)),
        "t5-of-generic": (t5, of("PreTrainedTokenizerFast", "t5")),
        "remote-of-known": (odd_bytes, of("Qwen2Tokenizer", "qwen2", auto_map={"AutoTokenizer": ["own.Tokenizer", None]})),
    }
    old = {"t5-map": ["<tool>"], "t5-map-sentinels": [f"<extra_id_{i}>" for i in range(3)], "t5-map-refused": ["<extra_id_0>"]}
    for name, tokens in old.items(): rows[name][1][1]["special_tokens_map__json"] = {"additional_special_tokens": tokens}
    return {f"class-{name}": kind(tokenizer, config, **files) for name, (tokenizer, (config, files)) in rows.items()}
