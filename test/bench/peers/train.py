"""One train step: student forward, JSD(0.5) against given teacher logits, backward, fused AdamW, float32.

The head works on completion positions alone. --compiled 1: the forward and the loss by torch.compile, which needs a C++ compiler.
"""
import common

args = common.parse(__doc__, faster="tuned", model="", batch=32, prompt=16, new=64, compiled=0)

import torch
import torch.nn.functional as F

model = common.load(args.model).train()
vocab = model.config.vocab_size
ids = common.random_ids(vocab, args.batch, args.prompt + args.new)
mask = torch.ones_like(ids)
teacher = torch.randn(args.batch, args.new, vocab).log_softmax(-1)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0, fused=True)


def jsd(student, beta=0.5):
    """Mean over the completion tokens of beta KL(p||m) + (1 - beta) KL(q||m)."""
    q = student.log_softmax(-1)
    m = torch.logsumexp(torch.stack([teacher + torch.tensor(beta).log(), q + torch.tensor(1 - beta).log()]), dim=0)
    terms = beta * F.kl_div(m, teacher, reduction="none", log_target=True) + (1 - beta) * F.kl_div(m, q, reduction="none", log_target=True)
    return terms.sum() / (args.batch * args.new)


def forward():
    return jsd(model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=args.new + 1).logits[:, :-1])


if args.compiled:
    forward = torch.compile(forward)


def work():
    loss = forward()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()


common.measure("train", work, args, batch=args.batch, prompt=args.prompt, new=args.new, tokens=args.batch * args.new)
