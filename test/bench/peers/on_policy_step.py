"""One on-policy step of TRL: sample, teacher forward, JSD(0.5), backward, AdamW; seconds and completion tokens per step.

--trainer gkd is GKDTrainer, distillation is DistillationTrainer, whose loss goes over the vocabulary in chunks. float32
without gradient checkpointing, as a careful user of a CPU sets it: TRL's own defaults are ten times slower. With
--lengths natural rows end where the model ends them, else all are as long as asked. --prompts: a JSON Lines file, field
"prompt".
"""
import common

args = common.parse(__doc__, faster="tuned", student="", teacher="", prompts="", trainer="gkd", lengths="fixed", batch=32, prompt=16, new=64)

import json
import tempfile
import time

from datasets import Dataset
from transformers import AutoTokenizer, TrainerCallback

student, teacher = common.load(args.student), common.load(args.teacher)
tokenizer = AutoTokenizer.from_pretrained(args.student)
limit = 100_000 if args.serve else args.warmup + args.reps
with open(args.prompts, encoding="utf8") as file:
    texts = [json.loads(line)["prompt"] for line in file]
fixed = args.lengths == "fixed"
written = [0]


def counting(inner, count):
    """The function, with the completion tokens of what it returns noted."""

    def call(*positional, **named):
        out = inner(*positional, **named)
        written[0] = count(out)
        return out

    return call


class Clock(TrainerCallback):
    """Times whole steps, batches fetched outside as TRL does; stops when enough were seen."""

    times, seen, start = [], 0, 0.0

    def on_step_begin(self, _args, state, control, **_):
        if (args.serve or self.seen >= args.warmup) and not common.turn(args, self.times, tokens=written[0]):
            raise SystemExit(0)
        self.start = time.perf_counter()

    def on_step_end(self, _args, state, control, **_):
        took = time.perf_counter() - self.start
        self.seen += 1
        if args.serve or self.seen > args.warmup:
            self.times.append(took)


def gkd(settings, callbacks):
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    # The reference tokens are never trained on (lmbda = 1), but their number is the loss's denominator.
    reference = common.random_ids(student.config.vocab_size, args.new, seed=8).tolist()
    data = Dataset.from_dict({
        "prompt": texts, "input_ids": [p + reference for p in prompts],
        "completion_mask": [[0] * len(p) + [1] * args.new for p in prompts],
    })
    config = GKDConfig(**settings, lmbda=1.0, max_new_tokens=args.new)
    trainer = GKDTrainer(
        model=student, teacher_model=teacher, args=config, train_dataset=data, processing_class=tokenizer, callbacks=callbacks,
    )
    if fixed:
        trainer.generation_config.min_new_tokens = args.new
    trainer.generate_on_policy_outputs = counting(trainer.generate_on_policy_outputs, lambda out: int((out[2] != -100).sum()))
    return trainer


def distillation(settings, callbacks):
    from trl import DistillationConfig, DistillationTrainer

    config = DistillationConfig(
        **settings, max_completion_length=args.new, generation_kwargs={"min_new_tokens": args.new} if fixed else {},
    )
    trainer = DistillationTrainer(
        model=student, teacher_model=teacher, args=config, train_dataset=Dataset.from_dict({"prompt": texts}),
        processing_class=tokenizer, callbacks=callbacks,
    )
    trainer._generate_single_turn = counting(trainer._generate_single_turn, lambda out: sum(len(ids) for ids in out))
    return trainer


clock = Clock()
with tempfile.TemporaryDirectory() as scratch:
    settings = dict(
        output_dir=scratch, per_device_train_batch_size=args.batch, gradient_accumulation_steps=1, max_steps=limit,
        learning_rate=1e-6, beta=0.5, temperature=1.0, bf16=False, gradient_checkpointing=False, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True, logging_strategy="no", seed=0,
    )
    {"gkd": gkd, "distillation": distillation}[args.trainer](settings, [clock]).train()
common.report(f"on_policy_step {args.trainer} {args.lengths}", clock.times, args, batch=args.batch, prompt=args.prompt, new=args.new, tokens=written[0])
