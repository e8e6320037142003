"""Golden training trace of a tiny llama, from transformers and torch.optim.AdamW: writes fixtures/train.json.

    python test/golden/train.py       # needs torch and transformers

Ten steps of on-policy distillation's update (forward KL, sequence normalisation) with warm-up, cosine decay, global-norm
clipping and weight decay on matrices only, on right-padded sequences of different lengths whose end token is also the
pad token. Holds the initial weights, each step's learning rate, loss and gradient norm, the first step's gradients and
the final weights. And a trace of AdamW alone.
"""
import json
import pathlib

import torch
from transformers import LlamaConfig, LlamaForCausalLM, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

OUT = pathlib.Path(__file__).parent / "fixtures" / "train.json"
STEPS, WARMUP, RATE, CLIP, DECAY = 10, 3, 0.02, 0.5, 0.1
CONFIG = {
    "model_type": "llama", "vocab_size": 13, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "hidden_act": "silu",
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "rope_theta": 10000.0,
}
# (prompt, completion); the last completion is the end token alone.
SEQUENCES = [([1, 5, 7, 3], [4, 9, 12, 2]), ([1, 6], [8, 8, 3, 0, 11, 10, 2]), ([1, 3, 3, 10, 5], [2])]


def short(x, digits=9):
    return [float(f"{v:.{digits}g}") for v in x.detach().double().flatten().tolist()]


def model(seed, tie):
    torch.manual_seed(seed)
    net = LlamaForCausalLM(LlamaConfig(**{**CONFIG, "tie_word_embeddings": tie}, attn_implementation="eager")).float()
    with torch.no_grad():  # larger than the usual 0.02, so that attention and norms matter
        for name, p in net.named_parameters():
            p.copy_(torch.randn_like(p) * 0.3 + (1.0 if name.endswith("norm.weight") else 0.0))
    return net


def loss_of(net, teacher_logprobs):
    """Mean over sequences of the mean over completion tokens of KL(p || q)."""
    total = 0
    for (prompt, completion), log_p in zip(SEQUENCES, teacher_logprobs):
        ids = torch.tensor([prompt + completion])
        # Logits at position t predict token t + 1.
        log_q = net(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        total = total + (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return total / len(SEQUENCES)


def trace(tie):
    net = model(1, tie)
    g = torch.Generator().manual_seed(2)
    teacher = [(torch.randn(len(c), CONFIG["vocab_size"], generator=g) * 2).log_softmax(-1) for _, c in SEQUENCES]
    named = dict(net.named_parameters())
    initial = {n: short(p) for n, p in named.items()}
    groups = [
        {"params": [p for n, p in named.items() if p.dim() > 1], "weight_decay": DECAY},
        {"params": [p for n, p in named.items() if p.dim() == 1], "weight_decay": 0.0},
    ]
    opt = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), eps=1e-8)
    schedule = get_cosine_schedule_with_warmup(opt, WARMUP, STEPS)
    steps, first = [], None
    for _ in range(STEPS):
        loss = loss_of(net, teacher)
        loss.backward()
        first = first or {n: short(p.grad) for n, p in named.items()}
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        steps.append({"learningRate": schedule.get_last_lr()[0], "loss": loss.item(), "gradientNorm": norm.item()})
        opt.step()
        schedule.step()
        opt.zero_grad()
    return {
        "config": {**CONFIG, "tie_word_embeddings": tie}, "teacherLogprobs": [short(t) for t in teacher], "initial": initial,
        "firstGradients": first, "steps": steps, "final": {n: short(p) for n, p in named.items()},
    }


def adamw_trace():
    """torch.optim.AdamW on one matrix with given gradients."""
    g = torch.Generator().manual_seed(3)
    p = torch.nn.Parameter(torch.randn(2, 3, generator=g))
    grads = [torch.randn(2, 3, generator=g) * 10.0 ** (i % 4 - 2) for i in range(STEPS)]
    out = {"initial": short(p), "gradients": [short(x) for x in grads], "maxGradNorm": 1.0, "weightDecay": DECAY, "steps": []}
    opt = torch.optim.AdamW([p], lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
    schedule = get_linear_schedule_with_warmup(opt, WARMUP, STEPS)
    for grad in grads:
        p.grad = grad.clone()
        norm = torch.nn.utils.clip_grad_norm_([p], 1.0)
        rate = schedule.get_last_lr()[0]
        opt.step()
        schedule.step()
        out["steps"].append({"learningRate": rate, "gradientNorm": norm.item(), "param": short(p)})
    return out


def main():
    result = {
        "source": f"PyTorch {torch.__version__.split('+')[0]}, float32, test/golden/train.py",
        "sequences": [{"prompt": p, "completion": c} for p, c in SEQUENCES],
        "schedule": {"kind": "cosine", "learningRate": RATE, "warmupSteps": WARMUP, "totalSteps": STEPS},
        "optimizer": {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "weightDecay": DECAY, "maxGradNorm": CLIP},
        "tied": trace(True), "untied": trace(False), "adamw": adamw_trace(),
    }
    OUT.write_text(json.dumps(result, separators=(",", ":")).replace('"untied"', '\n"untied"').replace('"adamw"', '\n"adamw"') + "\n")
    print(OUT.stat().st_size, "bytes", [s["loss"] for s in result["tied"]["steps"]], [s["gradientNorm"] for s in result["tied"]["steps"]])


if __name__ == "__main__":
    main()
