"""A teacher's forward in transformers, float32, inference mode: the logits of every position, nothing computed from them.

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
parser.add_argument("--length", type=int, default=80)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
ids = torch.randint(8, model.config.vocab_size, (args.batch, args.length))
for _ in sys.stdin:
    start = time.perf_counter()
    with torch.inference_mode():
        model(input_ids=ids, use_cache=False)
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
