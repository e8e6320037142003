"""An environment of Retort that uses only its protos: see ../README.md.

A number from 1 to 99 is to be guessed. The student writes a guess, and is told "higher" or "lower". The number follows from the seed, and
the answers from the number and the guess: calls that come again come to the same, and a run that is repeated finds the same environment.
"""

import argparse
import json
import random
import re
from concurrent import futures

import grpc
from retort.v1 import conversation_pb2, environment_pb2, environment_pb2_grpc

parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=0)
options = parser.parse_args()


class Guessing(environment_pb2_grpc.EnvironmentServiceServicer):
    """Knows the number of every episode that has begun and not ended."""

    def __init__(self):
        self.numbers = {}

    def Reset(self, request, context):
        self.numbers[request.episode] = random.Random(request.seed).randint(1, 99)
        return environment_pb2.EnvironmentServiceResetResponse()

    def Step(self, request, context):
        number = self.numbers.get(request.episode)
        if number is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the episode has not begun, or is over; begin it anew")
        guess = re.search(r"\d+", request.text)
        if guess and int(guess.group()) == number:
            # The sooner the better.
            return environment_pb2.EnvironmentServiceStepResponse(done=True, reward=1 / (1 + request.turn))
        said = "guess a number" if guess is None else "higher" if int(guess.group()) < number else "lower"
        return environment_pb2.EnvironmentServiceStepResponse(messages=[conversation_pb2.Message(role="user", content=said)])

    def End(self, request, context):
        self.numbers.pop(request.episode, None)
        return environment_pb2.EnvironmentServiceEndResponse()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
environment_pb2_grpc.add_EnvironmentServiceServicer_to_server(Guessing(), server)
port = server.add_insecure_port(f"{options.host}:{options.port}")
server.start()
print(json.dumps({"address": f"{options.host}:{port}"}), flush=True)
server.wait_for_termination()
