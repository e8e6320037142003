"""Sampling as Hugging Face does it: model.generate, dynamic cache, temperature 1, every row as long as asked."""
import common

args = common.parse(__doc__, faster="default", model="", batch=32, prompt=16, new=64)

import torch

model = common.load(args.model).eval()
ids = common.random_ids(model.config.vocab_size, args.batch, args.prompt)
settings = dict(
    input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
    max_new_tokens=args.new, min_new_tokens=args.new, pad_token_id=0, use_cache=True,
)


def work():
    out = model.generate(**settings)
    assert out.shape == (args.batch, args.prompt + args.new), out.shape


common.measure("generate", work, args, batch=args.batch, prompt=args.prompt, new=args.new, tokens=args.batch * args.new)
