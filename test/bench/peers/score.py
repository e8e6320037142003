"""A teacher's forward: log-probabilities of the whole vocabulary at every completion position, float32."""
import common

args = common.parse(__doc__, faster="tuned", model="", batch=32, prompt=16, new=64)

import torch

model = common.load(args.model).eval()
ids = common.random_ids(model.config.vocab_size, args.batch, args.prompt + args.new)
mask = torch.ones_like(ids)


@torch.inference_mode()
def work():
    # The head only where it is needed, which the library offers and few callers use: the fairest peer.
    out = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=args.new + 1).logits[:, :-1]
    assert out.log_softmax(-1).shape == (args.batch, args.new, model.config.vocab_size)


common.measure("score", work, args, batch=args.batch, prompt=args.prompt, new=args.new, tokens=args.batch * args.new)
