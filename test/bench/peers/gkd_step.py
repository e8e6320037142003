"""One on-policy step of TRL's GKDTrainer: sample, teacher forward, JSD(0.5), backward, AdamW; seconds per step.

float32 without gradient checkpointing, as a careful user of a CPU sets it: TRL's own defaults are ten times slower.
"""
import common

args = common.parse(__doc__, faster="tuned", student="", teacher="", batch=32, prompt=16, new=64)

import tempfile
import time

from datasets import Dataset
from transformers import AutoTokenizer, TrainerCallback
from trl.experimental.gkd import GKDConfig, GKDTrainer

student, teacher = common.load(args.student), common.load(args.teacher)
vocab = student.config.vocab_size
limit = 100_000 if args.serve else args.warmup + args.reps
# More rows than are used: the trainer repeats them. The reference tokens are never trained on (lmbda = 1), but their
# number is the loss's denominator, so it is that of the samples.
rows = args.batch * 8
prompts = common.random_ids(vocab, rows, args.prompt, seed=7).tolist()
references = common.random_ids(vocab, rows, args.new, seed=8).tolist()
data = Dataset.from_dict({
    "prompt": [""] * rows,
    "input_ids": [p + r for p, r in zip(prompts, references)],
    "completion_mask": [[0] * args.prompt + [1] * args.new] * rows,
})


class Clock(TrainerCallback):
    """Times whole steps, batches fetched outside as TRL does; stops when enough were seen."""

    times, seen, start = [], 0, 0.0

    def on_step_begin(self, _args, state, control, **_):
        if (args.serve or self.seen >= args.warmup) and not common.turn(args, self.times):
            raise SystemExit(0)
        self.start = time.perf_counter()

    def on_step_end(self, _args, state, control, **_):
        took = time.perf_counter() - self.start
        self.seen += 1
        if args.serve or self.seen > args.warmup:
            self.times.append(took)


clock = Clock()
with tempfile.TemporaryDirectory() as scratch:
    config = GKDConfig(
        output_dir=scratch, per_device_train_batch_size=args.batch, gradient_accumulation_steps=1, max_steps=limit,
        learning_rate=1e-6, lmbda=1.0, beta=0.5, temperature=1.0, max_new_tokens=args.new, bf16=False,
        gradient_checkpointing=False, use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_strategy="no", seed=0,
    )
    trainer = GKDTrainer(
        model=student, teacher_model=teacher, args=config, train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(args.student), callbacks=[clock],
    )
    trainer.generation_config.min_new_tokens = args.new
    trainer.train()
common.report("gkd_step", clock.times, args, batch=args.batch, prompt=args.prompt, new=args.new, tokens=args.batch * args.new)
