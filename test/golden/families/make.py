"""Golden fixtures of every family of decoders: small random models, with what transformers makes of them.

    python test/golden/families/make.py [NAME …]        # writes test/golden/fixtures/families/NAME/
    python test/golden/families/make.py --check D NAME  # prints the largest difference between a directory that Retort saved and NAME's golden logits

Needs torch, transformers >= 5 and safetensors. The cases are in the modules beside this one: each lists CASES. Every fixture holds config.json,
the weights and golden.json: rows (token ids), logits [T, V] of each row run alone, and of the loss Σ logits² over all rows, for each weight as a file
names it, the gradient's L2 norm and its product with cos(0), cos(1), … (row-major).
"""

import argparse
import importlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedConfig

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures" / "families"


@dataclass
class Case:
    """A model: its fixture's name, what it shows, its config, how config.json is respelled, its weights' element type, and how its tensors are renamed."""

    name: str
    kind: str
    config: PreTrainedConfig
    respell: Callable[[dict], dict] | None = None
    dtype: torch.dtype = torch.float32
    rename: Callable[[dict], dict] | None = None


# Sizes that every case may start from. Rows are longer than the windows that cases set.
SIZES = dict(
    vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, initializer_range=0.25, bos_token_id=1, eos_token_id=2, pad_token_id=0, use_cache=False,
)


def version4(config):
    """config.json as transformers 4 wrote it: the rotary embedding in rope_theta, rope_scaling and partial_rotary_factor."""
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    rope = config.pop("rope_parameters", None)
    if rope:
        config["rope_theta"] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
        config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    return config


def randomised(config, seed):
    """A model whose every weight is random, norms and biases included, so that none can be left out unseen."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            plain = "norm" in name.lower() or ".ln_" in name or "layernorm" in name.lower()
            weight.copy_((1 if plain and name.endswith("weight") else 0) + (0.2 if plain else 0.25) * noise)
    return model


def rows_of(vocab):
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, vocab, (length,), generator=generator).tolist() for length in (24, 1, 5)]


def load(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, rows):
    return [model(torch.tensor([row]), use_cache=False).logits[0] for row in rows]


def stored_gradients(model):
    """The gradients by the names, and in the shapes, that weights have in files: transformers converts some as it saves them."""
    with torch.no_grad(), tempfile.TemporaryDirectory() as directory:
        for weight in model.parameters():
            weight.copy_(weight.grad)
        model.save_pretrained(directory)
        return load_file(Path(directory) / "model.safetensors")


def golden(directory, kind):
    """What transformers computes from the directory as it lies on disk."""
    model = load(directory)
    rows = rows_of(model.config.vocab_size)
    logits = logits_of(model, rows)
    sum((row**2).sum() for row in logits).backward()
    probes = {}
    for name, gradient in stored_gradients(model).items():
        flat = gradient.double().flatten()
        probes[name] = [flat.norm().item(), (flat * torch.arange(flat.numel(), dtype=torch.float64).cos()).sum().item()]
    rounded = [[[float(f"{x:.7g}") for x in position] for position in row.tolist()] for row in logits]
    text = json.dumps({"kind": kind, "rows": rows, "logits": rounded, "gradients": probes})
    (directory / "golden.json").write_text(text + "\n")


def make(case, seed):
    directory = FIXTURES / case.name
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    randomised(case.config, seed).to(case.dtype).save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    path = directory / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(case.respell(config) if case.respell else config, indent=2) + "\n")
    if case.rename:
        weights = directory / "model.safetensors"
        save_file(case.rename(load_file(weights)), weights, metadata={"format": "pt"})
    golden(directory, case.kind)
    print(case.name)


def cases():
    """Every case, and the seed of its weights: its place in its own module."""
    sys.path.insert(0, str(HERE))
    modules = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "make")
    return [(100 + number, case) for module in modules for number, case in enumerate(importlib.import_module(module).CASES)]


def check(directory, name):
    """Loads what Retort saved in transformers and compares with the golden logits."""
    expected = json.loads((FIXTURES / name / "golden.json").read_text())
    with torch.no_grad():
        found = logits_of(load(directory), expected["rows"])
    worst = max((a - torch.tensor(b)).abs().max().item() for a, b in zip(found, expected["logits"]))
    print(json.dumps({"directory": str(directory), "largestDifference": worst}))


if __name__ == "__main__":
    sys.modules["make"] = sys.modules["__main__"]
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2, metavar=("DIRECTORY", "NAME"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.check:
        check(*options.check)
    else:
        for seed, case in cases():
            if not options.names or case.name in options.names:
                make(case, seed)
