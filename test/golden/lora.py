"""Golden fixtures of low-rank adapters: PEFT adapters on the models of models.py, and what PEFT and torch make of them.

    python test/golden/lora.py              # writes test/golden/fixtures/lora/, from the project's root
    python test/golden/lora.py --check D R  # prints the largest difference between an adapter that Retort saved in D and golden R/golden.json
    python test/golden/lora.py --merged D R # the same of a merged model

Needs torch, transformers >= 5 and peft. Every fixture is an adapter's directory as PEFT saves it, with golden.json: rows (token ids), logits
[T, V] of each row run alone with the adapter, and a trace of training it: AdamW on the factors alone, weight decay on those that transformers'
Trainer decays, forward KL with sequence normalisation, global-norm clipping.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from transformers.trainer_pt_utils import get_parameter_names
from models import FIXTURES as MODELS, logits_of, rows_of, tokenizer, write

OUT = Path("test/golden/fixtures/lora")
BASES = Path("test/golden/fixtures/models")
RATE, DECAY, CLIP, STEPS = 0.02, 0.1, 0.5, 5
SEQUENCES = [([1, 5, 7, 3], [4, 9, 12, 2]), ([1, 6], [8, 8, 3, 0, 11, 10, 2]), ([1, 3, 3, 10, 5], [2])]


def short(x):
    return [float(f"{v:.9g}") for v in x.detach().double().flatten().tolist()]


def base_of(name):
    return AutoModelForCausalLM.from_pretrained((BASES / name).resolve().relative_to(Path.cwd()), dtype=torch.float32, attn_implementation="eager").eval()


def loss_of(net, teacher):
    """Mean over sequences of the mean over completion tokens of KL(p || q)."""
    total = 0
    for (prompt, completion), log_p in zip(SEQUENCES, teacher):
        log_q = net(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        total = total + (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return total / len(SEQUENCES)


def trace(net):
    generator = torch.Generator().manual_seed(2)
    vocab = net.config.vocab_size
    teacher = [(torch.randn(len(c), vocab, generator=generator) * 2).log_softmax(-1) for _, c in SEQUENCES]
    factors = {n.replace(".default.", "."): p for n, p in net.named_parameters() if p.requires_grad}
    # As transformers' Trainer chooses what to decay.
    spared = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
    decayed = {n.replace(".default.", ".") for n in get_parameter_names(net, [torch.nn.LayerNorm], spared)}
    groups = [
        {"params": [p for n, p in factors.items() if n in decayed], "weight_decay": DECAY},
        {"params": [p for n, p in factors.items() if n not in decayed], "weight_decay": 0.0},
    ]
    opt = torch.optim.AdamW([g for g in groups if g["params"]], lr=RATE, betas=(0.9, 0.99), eps=1e-8)
    steps = []
    for step in range(STEPS):
        loss = loss_of(net, teacher)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(factors.values()), CLIP)
        opt.step()
        opt.zero_grad()
        after = {n: short(p) for n, p in factors.items()} if step in (0, STEPS - 1) else {}
        steps.append({"loss": loss.item(), "gradientNorm": norm.item(), "after": after})
    return {"teacherLogprobs": [short(t) for t in teacher], "steps": steps}


def fixture(name, base, kind, dtype=torch.float32, **settings):
    torch.manual_seed(11)
    directory = OUT / name
    shutil.rmtree(directory, ignore_errors=True)
    net = get_peft_model(base_of(base), LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
    with torch.no_grad():  # B is zero at first; a sum of zeros would hide everything
        for n, p in net.named_parameters():
            if "lora_B" in n:
                p.copy_(0.2 * torch.randn_like(p))
    net.to(dtype).save_pretrained(directory)
    (directory / "README.md").unlink()
    loaded = AutoPeftModelForCausalLM.from_pretrained(directory, is_trainable=True, dtype=torch.float32, attn_implementation="eager").eval()
    loaded.float()
    rows = rows_of(loaded.config.vocab_size)
    with torch.no_grad():
        logits = logits_of(loaded, rows)
    rounded = [[[float(f"{x:.7g}") for x in position] for position in row.tolist()] for row in logits]
    sequences = [{"prompt": p, "completion": c} for p, c in SEQUENCES]
    optimizer = {"learningRate": RATE, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "weightDecay": DECAY, "maxGradNorm": CLIP}
    golden = {"kind": kind, "base": base, "rows": rows, "logits": rounded, "sequences": sequences, "optimizer": optimizer, **trace(loaded)}
    write(directory / "golden.json", golden)
    # An adapter may bring its own. Not before: AutoPeftModel would cut the base's vocabulary to it.
    if not (BASES / base / "tokenizer.json").exists():
        tokenizer().save_pretrained(directory)


def make():
    assert MODELS.resolve() == BASES.resolve(), "run it from the project's root"
    fixture("all-linear", "llama", "every linear layer, by PEFT's all-linear, untied head", r=4, lora_alpha=8, target_modules="all-linear")
    fixture("named", "qwen2", "modules by their names, biases beside them", r=2, lora_alpha=5, target_modules=["q_proj", "o_proj", "up_proj"])
    fixture("transposed", "../families/gpt2", "weights that lie [in, out]", r=2, lora_alpha=4, target_modules="all-linear", fan_in_fan_out=True)
    fixture("fused", "../families/phi3", "fused projections, each with one pair of factors", r=4, lora_alpha=16, target_modules="all-linear")
    fixture(
        "pattern", "qwen3", "modules by a pattern, rank-stabilised, head norms, float16 factors", dtype=torch.float16,
        r=3, lora_alpha=7, use_rslora=True, target_modules=r".*\.(k_proj|v_proj|down_proj)",
    )


def check(model, reference):
    """Compares the logits of a model that was loaded with the golden ones."""
    expected = json.loads((Path(reference) / "golden.json").read_text())
    with torch.no_grad():
        found = logits_of(model.eval(), expected["rows"])
    worst = max((a - torch.tensor(b)).abs().max().item() for a, b in zip(found, expected["logits"]))
    print(json.dumps({"largestDifference": worst}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2, metavar=("DIRECTORY", "REFERENCE"))
    parser.add_argument("--merged", nargs=2, metavar=("DIRECTORY", "REFERENCE"))
    options = parser.parse_args()
    loading = dict(dtype=torch.float32, attn_implementation="eager")
    if options.check:
        check(AutoPeftModelForCausalLM.from_pretrained(options.check[0], **loading), options.check[1])
    elif options.merged:
        check(AutoModelForCausalLM.from_pretrained(options.merged[0], **loading), options.merged[1])
    else:
        make()
