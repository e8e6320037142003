"""Golden fixtures of classifiers: small random …ForSequenceClassification models, and an encoder exported as ONNX, with transformers' logits.

    python test/golden/classifiers.py            # writes test/golden/fixtures/classifiers/
    python test/golden/classifiers.py --check D  # loads what Retort saved in D as transformers does and prints its logits of the texts

Needs torch, transformers >= 5, tokenizers, safetensors, onnx and onnxscript. golden.json of a fixture: the texts (or pairs) and the logits [C]
of each, run alone and all of them in one padded batch (the two are checked to be the same).
"""

import argparse
import json
from pathlib import Path

import onnx
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, LlamaConfig, PreTrainedTokenizerFast, Qwen3Config

from models import BASE, randomised_weights, tokenizer, write

FIXTURES = Path(__file__).parent / "fixtures" / "classifiers"
TEXTS = ["the cat sat", "The hat was flat. 3 + 14 = 17; 2026 is a year.", "x", "ends in padding<pad><pad>", "on-policy"]
PAIRS = [["the cat sat", "the hat"], ["a b", "c"], ["the mat was flat", "the mat was a hat"]]


def logits_of(model, fast, inputs):
    alone = [model(**fast(*([[part] for part in parts]), return_tensors="pt")).logits[0] for parts in inputs]
    together = model(**fast(*[list(column) for column in zip(*inputs)], return_tensors="pt", padding=True)).logits
    assert torch.allclose(torch.stack(alone), together, atol=1e-5)
    return [[float(f"{x:.7g}") for x in row.tolist()] for row in alone]


def fresh(name):
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    return directory


def decoder(name, config, seed):
    directory = fresh(name)
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    randomised_weights(model).save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    loaded = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        logits = logits_of(loaded, AutoTokenizer.from_pretrained(directory), [[text] for text in TEXTS])
    write(directory / "golden.json", {"inputs": [[text] for text in TEXTS], "logits": logits})


def words():
    """A word-level tokenizer that puts [CLS] and [SEP] around one text or two, as encoders' tokenizers do."""
    vocab = {word: i for i, word in enumerate("[PAD] [UNK] [CLS] [SEP] a b c the cat sat hat mat was flat".split())}
    raw = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def encoder(name, seed):
    directory = fresh(name)
    torch.manual_seed(seed)
    fast = words()
    config = BertConfig(
        vocab_size=len(fast), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, max_position_embeddings=32,
        initializer_range=0.5, id2label={0: "contradiction", 1: "neutral", 2: "entailment"}, use_cache=False,
    )
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    fast.save_pretrained(directory)
    config.save_pretrained(directory)
    with torch.no_grad():
        logits = logits_of(model, fast, PAIRS)
    export(directory, model, fast(*[list(column) for column in zip(*PAIRS)], return_tensors="pt", padding=True))
    write(directory / "golden.json", {"inputs": PAIRS, "logits": logits})


def exported_decoder(name, config, seed):
    """A decoder, which looks for a text's end by its pad token: that is not 0 here."""
    directory = fresh(name)
    torch.manual_seed(seed)
    model = randomised_weights(AutoModelForSequenceClassification.from_config(config, dtype=torch.float32, attn_implementation="eager").eval())
    fast = tokenizer()
    fast.pad_token = "<|user|>"
    fast.save_pretrained(directory)
    config.save_pretrained(directory)
    texts = [text for text in TEXTS if "<pad>" not in text]
    with torch.no_grad():
        logits = logits_of(model, fast, [[text] for text in texts])
    export(directory, model, fast(texts, return_tensors="pt", padding=True))
    write(directory / "golden.json", {"inputs": [[text] for text in texts], "logits": logits})


def export(directory, model, example):
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in example]

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(**dict(zip(names, inputs))).logits

    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=model.config.max_position_embeddings)}
    torch.onnx.export(
        Logits().eval(), tuple(example[name] for name in names), directory / "model.onnx", input_names=names, output_names=["logits"],
        dynamic_shapes={"inputs": tuple(axes for _ in names)}, dynamo=True, external_data=False, optimize=True, verbose=False,
    )
    # The exporter notes where in its own source every node comes from.
    exported = onnx.load(directory / "model.onnx")
    for part in [exported.graph, *exported.graph.node, *exported.graph.initializer, *exported.graph.input, *exported.graph.output, *exported.graph.value_info]:
        del part.metadata_props[:]
    onnx.save(exported, directory / "model.onnx")


def make():
    base = dict(BASE, vocab_size=len(tokenizer()))
    plain = dict(rope_type="default", rope_theta=10000.0)
    names = dict(id2label={0: "bad", 1: "so-so", 2: "good"}, label2id={"bad": 0, "so-so": 1, "good": 2})
    decoder("llama", LlamaConfig(**base, **names, tie_word_embeddings=False, rope_parameters=plain), 11)
    decoder("qwen3", Qwen3Config(**base, num_labels=1, head_dim=8, tie_word_embeddings=True, rope_parameters=dict(plain, rope_theta=1e6)), 12)
    encoder("encoder", 13)
    exported_decoder("decoder", LlamaConfig(**dict(base, pad_token_id=3), tie_word_embeddings=False, rope_parameters=plain), 14)


def check(directory):
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        print(json.dumps({"labels": model.config.id2label, "logits": logits_of(model, AutoTokenizer.from_pretrained(directory), [[text] for text in TEXTS])}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check")
    arguments = parser.parse_args()
    check(arguments.check) if arguments.check else make()
