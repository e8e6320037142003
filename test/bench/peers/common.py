"""What every peer measurement shares: two threads, float32, the allocator, the clock and the one JSON line.

A measurement is one function, repeated. With `--serve` a bench that races two programs in turns decides when: for each
line on standard input one repetition runs, and one JSON line {"seconds": ..., "rss": ...} says how long it took and the most
bytes that the process has held so far.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

# glibc keeps what is freed and uses huge pages: half of PyTorch's time in training is page faults without it.
TUNED = {
    "THP_MEM_ALLOC_ENABLE": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "268435456",
}


def parse(what, faster, **sizes):
    """Arguments of a measurement. Must be called before torch is imported: it sets the threads and the allocator.

    faster: the allocator that was the better one for this work, used where both cannot be tried (`--serve`).
    """
    parser = argparse.ArgumentParser(description=what)
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, required=default == "")
    parser.add_argument("--reps", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alloc", choices=["default", "tuned", "best"], default="best", help="best: the faster of the two")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--serve", action="store_true", help="one repetition per line of standard input")
    args = parser.parse_args()
    if args.alloc == "best" and args.serve:
        args.alloc = faster
    if args.alloc == "best":
        sys.exit(best_of_two())
    if args.alloc == "tuned" and "MALLOC_TOP_PAD_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **TUNED})
    os.environ.update(OMP_NUM_THREADS=str(args.threads), MKL_NUM_THREADS=str(args.threads))
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error", TRL_EXPERIMENTAL_SILENCE="1")
    import torch

    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    torch.set_default_device(args.device)
    return args


def best_of_two():
    """Runs this script once with each allocator and prints the faster one's line."""
    rows = []
    for alloc in ("default", "tuned"):
        run = subprocess.run([sys.executable, *sys.argv, "--alloc", alloc], stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            return run.returncode
        rows.append(json.loads(run.stdout.splitlines()[-1]))
    print(json.dumps(min(rows, key=lambda row: row["median_s"])))
    return 0


def peak_rss():
    """Most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def turn(args, times, **figures):
    """True when one more repetition is due. Blocks while serving; figures are told with the last one's seconds."""
    if args.serve:
        if times:
            print(json.dumps({"seconds": times[-1], "rss": peak_rss(), **figures}), flush=True)
        return sys.stdin.readline() != ""
    return len(times) < args.reps


def measure(what, work, args, **facts):
    """Repeats `work` and prints the JSON line; what it returns, if anything, are further figures of the repetition."""
    for _ in range(0 if args.serve else args.warmup):  # who asks for repetitions warms up
        work()
    times, figures = [], {}
    while turn(args, times, **figures):
        start = time.perf_counter()
        figures = work() or {}
        if args.device == "cuda":
            wait()
        times.append(time.perf_counter() - start)
    report(what, times, args, **{**facts, **figures})


def wait():
    """Until the device has done all that it was told."""
    import torch

    torch.cuda.synchronize()


def report(what, times, args, **facts):
    """The JSON line: median, minimum and every repetition, in seconds; tokens per second where `tokens` is a fact."""
    if args.serve or not times:
        return
    import torch
    import transformers

    median = statistics.median(times)
    line = {"what": what, "median_s": median, "min_s": min(times), "reps": len(times), "times_s": [round(t, 5) for t in times], **facts}
    if "tokens" in facts:
        line["tokens_per_s"] = facts["tokens"] / median
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps({**line, "peak_rss": peak_rss(), "alloc": args.alloc, "threads": args.threads, **versions}), flush=True)


def load(directory):
    """The float32 model of a Hugging Face directory."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).to(torch.get_default_device())


def random_ids(vocab, *shape, seed=0):
    """Token ids that are no special tokens."""
    import torch

    ids = torch.randint(8, vocab, shape, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    return ids.to(torch.get_default_device())
