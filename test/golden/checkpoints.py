"""Golden fixture of what transformers reads from the many forms of a model directory: small random models, each in a form of its own.

    python test/golden/checkpoints.py            # writes test/golden/fixtures/checkpoints.json
    python test/golden/checkpoints.py --check D  # logits of every directory in D (named as the cases) against the fixture's

Needs torch, transformers >= 5 and safetensors (--check: transformers >= 4.45). By case: files (JSON, or base64 of a safetensors file),
logits [P, V] at some positions of the row, and whether the head is tied once the model is loaded.
"""

import argparse
import base64
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

FIXTURE = Path(__file__).parent / "fixtures" / "checkpoints.json"
BASE = dict(
    vocab_size=24, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=4,
    max_position_embeddings=32, rms_norm_eps=1e-5, hidden_act="silu", tie_word_embeddings=False, rope_theta=100.0,
)
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)
ROW = [3, 17, 5, 9, 1, 22, 0, 8, 13, 2, 19, 11, 4, 4, 21, 7]
POSITIONS = [0, 9, 15]


def config(model_type="llama", drop=(), **keys):
    return {key: value for key, value in dict(BASE, model_type=model_type, **keys).items() if key not in drop}


def weights_of(raw, seed):
    """Random weights of every name that the class has, norms and biases included; the head apart even where the flag ties it."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**{**raw, "tie_word_embeddings": False}))
    return {name: (1 + 0.2 * torch.randn_like(w)) if "norm" in name else 0.4 * torch.randn_like(w) for name, w in model.state_dict().items()}


def without_head(weights):
    return {name: w for name, w in weights.items() if name != "lm_head.weight"}


def renamed(weights, rename):
    return {rename(name): w for name, w in weights.items()}


def shards(weights):
    """Two shards with their index, and a third that an earlier saving left behind."""
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[: len(names) // 2], "model-00002-of-00002.safetensors": names[len(names) // 2 :]}
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    files = {file: {name: weights[name] for name in held} for file, held in parts.items()}
    files["model-00003-of-00003.safetensors"] = {"lm_head.weight": weights["lm_head.weight"] + 1}
    return {**files, "model.safetensors.index.json": index}


def halves(weights):
    """float16 with numbers below its normal range."""
    small = {name: (w * 1e-6 if "down_proj" in name else w).half() for name, w in weights.items()}
    assert any(((w != 0) & (w.abs() < 6e-5)).any() for w in small.values())
    return small


def single(weights):
    return {"model.safetensors": weights}


def cases():
    same = lambda w: w
    yield "llama", config(), same
    yield "llama-defaults", config(drop=["rms_norm_eps", "hidden_act", "tie_word_embeddings", "rope_theta", "max_position_embeddings", "num_key_value_heads", "head_dim"]), same
    yield "llama-junk", config(
        unsloth_version="2026.1", use_cache=True, pretraining_tp=2, attention_dropout=0.1, rope_interleaved=False, torch_dtype="float32",
        attention_multiplier=None, residual_multiplier=1.0, task_specific_params={"a": 1}, sliding_window=None, use_mrope=False,
    ), same
    yield "llama-mlp-bias", config(mlp_bias=True), same
    yield "llama-attention-bias", config(attention_bias=True), same
    yield "rope-parameters", config(rope_parameters={"rope_type": "default", "rope_theta": 50.0}), same
    yield "rope-scaling-beside-parameters", config(
        rope_scaling=dict(LLAMA3, original_max_position_embeddings=8), rope_parameters={"rope_type": "default", "rope_theta": 50.0},
    ), same
    yield "rope-scaling-own-theta", config(rope_scaling={"type": "linear", "factor": 3.0, "rope_theta": 40.0}), same
    yield "rope-empty-scaling", config(rope_scaling={}, rope_parameters={"rope_type": "linear", "factor": 2.0}), same
    yield "rope-llama3-top-level", config(rope_scaling=dict(LLAMA3, original_max_position_embeddings=16), original_max_position_embeddings=8), same
    yield "rope-llama3-no-original", config(rope_parameters=dict(LLAMA3, rope_theta=70.0)), same
    yield "rope-dynamic", config(rope_scaling={"type": "dynamic", "factor": 4.0}), same
    yield "qwen2-windows-off", config("qwen2", use_sliding_window=False, sliding_window=4, max_window_layers=0), same
    yield "qwen2-wide-window", config("qwen2", use_sliding_window=True, sliding_window=32, max_window_layers=0), same
    yield "qwen2-late-window", config("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=2), same
    yield "qwen2-full-layers", config("qwen2", layer_types=["full_attention"] * 2, num_key_value_heads=None), same
    yield "qwen3-attention-bias", config("qwen3", attention_bias=True), same
    yield "qwen3-default-head", config("qwen3", drop=["head_dim"], num_hidden_layers=1), same
    yield "tied-other-head", config(tie_word_embeddings=True), same
    yield "tied-equal-head", config(tie_word_embeddings=True), lambda w: {**w, "lm_head.weight": w["model.embed_tokens.weight"].clone()}
    yield "tied-head-only", config(tie_word_embeddings=True), lambda w: {name: t for name, t in w.items() if name != "model.embed_tokens.weight"}
    yield "tied-base-alone", config(tie_word_embeddings=True), lambda w: renamed(without_head(w), lambda name: name.removeprefix("model."))
    yield "base-with-head", config(), lambda w: renamed(w, lambda name: name.removeprefix("model."))
    yield "model-twice", config(), lambda w: renamed(w, lambda name: f"model.{name}")
    yield "bfloat16", config(torch_dtype="bfloat16"), lambda w: {name: t.bfloat16() for name, t in w.items()}
    yield "float16", config(torch_dtype="float16"), halves
    yield "mixed-types", config(), lambda w: {name: t if "norm" in name else t.bfloat16() for name, t in w.items()}
    yield "shards-and-stale", config(), shards


def logits_of(directory):
    model = AutoModelForCausalLM.from_pretrained(directory, torch_dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return model, model(torch.tensor([ROW])).logits[0, POSITIONS]


def make():
    made = {}
    for seed, (name, raw, change) in enumerate(cases()):
        written = change(weights_of(raw, seed))
        files = {"config.json": raw, **(written if "model.safetensors.index.json" in written else single(written))}
        with tempfile.TemporaryDirectory() as folder:
            for file, content in files.items():
                path = Path(folder) / file
                if file.endswith(".json"):
                    path.write_text(json.dumps(content))
                else:
                    save_file(content, path, metadata={"format": "pt"})
                    files[file] = base64.b64encode(path.read_bytes()).decode()
            model, logits = logits_of(folder)
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        rounded = [[float(f"{x:.6g}") for x in position] for position in logits.tolist()]
        made[name] = {"files": files, "logits": rounded, "tied": tied}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in made.items())
    FIXTURE.write_text(f'{{"row": {json.dumps(ROW)}, "positions": {json.dumps(POSITIONS)}, "cases": {{\n{lines}\n}}}}\n')


def check(folder):
    expected = json.loads(FIXTURE.read_text())["cases"]
    for directory in sorted(Path(folder).iterdir()):
        _, logits = logits_of(directory)
        print(directory.name, (logits - torch.tensor(expected[directory.name]["logits"])).abs().max().item())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", metavar="DIRECTORIES")
    options = parser.parse_args()
    check(options.check) if options.check else make()
