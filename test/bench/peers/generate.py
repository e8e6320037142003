"""Hugging Face `generate`: sampling at temperature 1, float32, dynamic cache, every row runs to --new tokens.

For each line on standard input: one timed call, one JSON line {"seconds": …}. Ends with the input.
"""
import argparse
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--prompt", type=int, default=16)
parser.add_argument("--new", type=int, default=64)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
ids = torch.randint(8, model.config.vocab_size, (args.batch, args.prompt))
settings = dict(
    input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
    max_new_tokens=args.new, min_new_tokens=args.new, pad_token_id=0,
)
for _ in sys.stdin:
    start = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(**settings)
    assert out.shape == (args.batch, args.prompt + args.new), out.shape
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
