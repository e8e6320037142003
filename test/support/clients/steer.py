"""What test/e2e/clients.test.ts runs against a controller by the built wheel: steer.py ADDRESS CONTROLLER_PID MODELS OUT"""

import json
import os
import signal
import sys

from retort import Retort, RetortError

address, pid, examples, out = sys.argv[1:]
retort = Retort(address)
spec = {
    "name": "steered-python",
    "seed": 5,
    "student": {"model": f"{examples}/models/student"},
    "teachers": [{"model": f"{examples}/models/teacher"}],
    "data": {"path": f"{examples}/data/train.jsonl"},
    "phases": [{"preset": "on_policy_kd", "steps": 8, "batchSize": 8, "sampling": {"maxNewTokens": 32}}],
}
nowhere = {**spec, "student": {"model": "/nowhere"}}


def refusal(given: dict[str, object], request_id: str | None = None) -> str:
    try:
        retort.run(given, request_id=request_id)
    except RetortError as error:
        return str(error)
    return ""


run = retort.run(spec, request_id="steered-2")
again = retort.run(spec, request_id="steered-2")
refused = refusal({**spec, "seed": 6}, "steered-2")
wrong = refusal(nowhere)
problems = [problem.field for problem in retort.validate(nowhere).problems]

sequences: list[str] = []
losses: list[float] = []
for event in run.watch():
    sequences.append(str(event.sequence))
    if not event.HasField("step_finished"):
        continue
    losses.append(event.step_finished.loss)
    # The controller dies, and is started again by whoever keeps it.
    if event.step_finished.step == 2:
        os.kill(int(pid), signal.SIGKILL)
    if event.step_finished.step != 4:
        continue
    run.pause()
    while run.refresh().state != "paused":
        pass
    run.resume()
ended = run.wait()
listed = [one.id for one in retort.list(name="steered-python", states=["succeeded"])]
version = run.export(out)
twice = ""
try:
    run.export(out)
except FileExistsError as error:
    twice = str(error)
left: list[int] = []
for event in run.watch():
    left.append(event.sequence)
    if len(left) == 2:
        break
stranger = ""
try:
    retort.get("nobody")
except RetortError as error:
    stranger = error.code.name
print(
    json.dumps(
        {
            "run": run.id,
            "again": again.id,
            "refused": refused,
            "wrong": wrong,
            "problems": problems,
            "sequences": sequences,
            "losses": losses,
            "ended": ended.state,
            "over": ended.is_over,
            "listed": listed,
            "version": version,
            "twice": twice,
            "left": left,
            "stranger": stranger,
        }
    )
)
retort.close()
