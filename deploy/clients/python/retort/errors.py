"""The one error of the client, and what is tried again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

T = TypeVar("T")

#: Time between two tries, in seconds.
PAUSE = 0.5

#: What a controller answers that ends, has ended, or just starts.
AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED})


class RetortError(Exception):
    """What the controller has refused, or could not do: gRPC's code and its sentence."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @property
    def is_away(self) -> bool:
        """Whether the same call may succeed once the controller is back."""
        return self.code in AWAY


@contextmanager
def as_retort_error() -> Iterator[None]:
    """Turns gRPC's errors into ours."""
    try:
        yield
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call):
            raise
        raise RetortError(error.code(), error.details() or "") from error


def retrying(work: Callable[[], T], patience: float) -> T:
    """Does work that may be repeated, until it is done or the controller has been away for `patience` seconds."""
    since = time.monotonic()
    while True:
        try:
            with as_retort_error():
                return work()
        except RetortError as error:
            if not error.is_away or time.monotonic() - since > patience:
                raise
        time.sleep(PAUSE)
