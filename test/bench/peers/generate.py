"""Sampling as Hugging Face does it: model.generate, dynamic cache, temperature 1.

Every row is as long as asked, or with --lengths natural ends where the model ends it.
"""
import common

args = common.parse(__doc__, faster="default", model="", lengths="fixed", batch=32, prompt=16, new=64)

import torch

model = common.load(args.model).eval()
ids = common.random_ids(model.config.vocab_size, args.batch, args.prompt)
settings = dict(
    input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
    max_new_tokens=args.new, pad_token_id=0, use_cache=True,
)

fixed = args.lengths == "fixed"
if fixed:
    settings["min_new_tokens"] = args.new
written = [0]


def work():
    out = model.generate(**settings)[:, args.prompt :]
    assert not fixed or out.shape == (args.batch, args.new), out.shape
    # What follows a row's end is filled with pad.
    ends = torch.isin(out, torch.tensor(model.generation_config.eos_token_id or [], dtype=out.dtype)) if not fixed else torch.zeros_like(out)
    written[0] = int((ends.cumsum(1) - ends.int() == 0).sum())
    return {"tokens": written[0]}


common.measure("generate", work, args, batch=args.batch, prompt=args.prompt, new=args.new)
