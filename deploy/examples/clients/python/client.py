"""A client of Retort that uses only its protos: see ../README.md."""

import argparse
import json
import os
import struct
import sys
from concurrent import futures

import grpc
from retort.v1 import (
    controller_pb2,
    controller_pb2_grpc,
    reward_pb2,
    reward_pb2_grpc,
    run_pb2,
    run_spec_pb2,
    teacher_pb2,
    teacher_pb2_grpc,
)

parser = argparse.ArgumentParser()
parser.add_argument("--controller", default="localhost:7070")
parser.add_argument("--teacher", default="localhost:7071")
parser.add_argument("--examples", default="deploy/examples/num2words")
parser.add_argument("--reward-host", default="127.0.0.1")
parser.add_argument("--token")
options = parser.parse_args()

metadata = [("authorization", f"Bearer {options.token}")] if options.token else []


def report(**values):
    print(json.dumps(values), flush=True)


def floats(array):
    """The elements of an Array message of type float32."""
    return struct.unpack(f"<{len(array.data) // 4}f", array.data)


def score():
    """Asks a teacher what it makes of two answers to one prompt."""
    with grpc.insecure_channel(options.teacher) as channel:
        teacher = teacher_pb2_grpc.TeacherServiceStub(channel)
        described = teacher.Describe(teacher_pb2.TeacherServiceDescribeRequest(), metadata=metadata, timeout=60)
        report(teacher={"architecture": described.architecture, "vocabSize": described.vocab_size})
        answers = ["three hundred forty seven", "three hundred forty eight"]
        request = teacher_pb2.ScoreRequest(
            sequences=[{"prompt": {"text": "347="}, "text": answer} for answer in answers],
            signal={"kind": "sampled", "temperature": 1},
        )
        response = teacher.Score(request, metadata=metadata, timeout=60)
        for answer, scored in zip(answers, response.scores):
            logprobs = floats(scored.logprobs)
            report(answer=answer, tokens=len(logprobs), logprob=sum(logprobs))


def reward(completion, reference):
    """The share of the reference's words that the completion has."""
    words = set(completion.split(" "))
    wanted = reference.split(" ")
    return sum(word in words for word in wanted) / len(wanted)


class Rewards(reward_pb2_grpc.RewardServiceServicer):
    """Serves `reward`."""

    judged = 0

    def Describe(self, request, context):
        return reward_pb2.RewardServiceDescribeResponse(kinds=["words"])

    def Evaluate(self, request, context):
        self.judged += len(request.inputs)
        return reward_pb2.EvaluateResponse(rewards=[{"value": reward(i.completion, i.reference)} for i in request.inputs])


def train(address):
    """Starts a run that is rewarded at an address, and follows it to its end."""
    spec = run_spec_pb2.RunSpec(
        name="client-example",
        student={"model": os.path.join(options.examples, "models/student")},
        teachers=[{"model": os.path.join(options.examples, "models/teacher")}],
        data={"path": os.path.join(options.examples, "data/all.jsonl")},
        rewards=[{"kind": "external", "address": address}],
        phases=[
            {
                "preset": "rl_gkd",
                "steps": 3,
                "batch_size": 8,
                "objective": {"divergence": "reverse_kl", "alpha": 0.5},
                "sampling": {"max_new_tokens": 32},
            }
        ],
    )
    with grpc.insecure_channel(options.controller) as channel:
        controller = controller_pb2_grpc.ControllerServiceStub(channel)
        run = controller.StartRun(controller_pb2.StartRunRequest(spec=spec), metadata=metadata, timeout=60).run
        report(run=run.run_id)
        for response in controller.WatchRun(controller_pb2.WatchRunRequest(run_id=run.run_id), metadata=metadata):
            event = response.event
            if event.HasField("step_finished"):
                step = event.step_finished
                report(step=step.step, loss=step.loss, reward=step.reward)
            if event.HasField("state_changed"):
                changed = event.state_changed
                report(state=run_pb2.RunState.Name(changed.state), message=changed.message)
        ended = controller.GetRun(controller_pb2.GetRunRequest(run_id=run.run_id), metadata=metadata, timeout=60).run
        return run_pb2.RunState.Name(ended.state)


score()
rewards = Rewards()
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
reward_pb2_grpc.add_RewardServiceServicer_to_server(rewards, server)
port = server.add_insecure_port("0.0.0.0:0")
server.start()
state = train(f"{options.reward_host}:{port}")
report(ended=state, judged=rewards.judged)
server.stop(None)
sys.exit(0 if state == "RUN_STATE_SUCCEEDED" else 1)
