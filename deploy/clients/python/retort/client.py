"""A controller: runs are started and found here."""

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import grpc
from google.protobuf import json_format

from retort.errors import retrying
from retort.run import Run
from retort.v1 import controller_pb2, controller_pb2_grpc, run_pb2, run_spec_pb2

#: Runs of a page of `Retort.list`.
PAGE_SIZE = 100

Request = TypeVar("Request")
Response = TypeVar("Response")

Metadata = tuple[tuple[str, str | bytes], ...]

#: A spec as its YAML has it, or as a message.
Spec = run_spec_pb2.RunSpec | Mapping[str, Any]


@dataclass(frozen=True)
class Tls:
    """PEM: the authority (default: the system's) and, for a controller that asks for one, a certificate of one's own."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None


class Retort:
    """A client of a controller. Every call but `Run.delete` waits for a controller that is away."""

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        tls: Tls | None = None,
        timeout: float = 60,
        patience: float = 600,
    ) -> None:
        """
        Args:
            address: host:port. Default: RETORT_CONTROLLER, else localhost:7070.
            token: bearer token. Default: RETORT_TOKEN, else none.
            tls: without it the connection is plaintext.
            timeout: seconds that a call may take; watching and exporting may take any time.
            patience: seconds that a controller may be away before a call fails.
        """
        self.timeout = timeout
        self.patience = patience
        given = token if token is not None else os.environ.get("RETORT_TOKEN")
        #: What every call must bring: the token.
        self.metadata: Metadata = (("authorization", f"Bearer {given}"),) if given else ()
        self._tls = tls
        self._channel = self.channel(address or os.environ.get("RETORT_CONTROLLER") or "localhost:7070")
        #: Every method of the controller; calls need `metadata=retort.metadata`.
        self.controller = controller_pb2_grpc.ControllerServiceStub(self._channel)

    def channel(self, address: str) -> grpc.Channel:
        """A channel to any service of Retort, as to a teacher that is served alone, with the same TLS."""
        options = [
            ("grpc.max_receive_message_length", 64 * 1024 * 1024),
            ("grpc.max_send_message_length", 64 * 1024 * 1024),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if self._tls:
            credentials = grpc.ssl_channel_credentials(self._tls.ca, self._tls.key, self._tls.cert)
            return grpc.secure_channel(address, credentials, options)
        return grpc.insecure_channel(address, options)

    def run(self, spec: Spec, *, request_id: str | None = None) -> Run:
        """Starts a run. The call is repeated while no answer comes, and starts one run.

        Args:
            spec: names as in YAML; an unknown one is a `json_format.ParseError`.
            request_id: names the request, so that the same one starts no second run. Default: a random one.

        Raises:
            RetortError: INVALID_ARGUMENT with all that is wrong; ALREADY_EXISTS if the id came with another spec.
        """
        request = controller_pb2.StartRunRequest(spec=_message(spec), request_id=request_id or str(uuid.uuid4()))
        return Run(self, self.call(self.controller.StartRun, request).run)

    def validate(self, spec: Spec) -> controller_pb2.ValidateRunResponse:
        """What is wrong with a spec, and what is unusual; nothing is started."""
        request = controller_pb2.ValidateRunRequest(spec=_message(spec))
        return self.call(self.controller.ValidateRun, request)

    def get(self, run_id: str) -> Run:
        """A run as it is now. Raises RetortError NOT_FOUND if there is none."""
        request = controller_pb2.GetRunRequest(run_id=run_id)
        return Run(self, self.call(self.controller.GetRun, request).run)

    def list(self, *, states: Iterable[str] = (), name: str = "") -> Iterator[Run]:
        """Runs, newest first, asked for page by page as they are taken.

        Args:
            states: of runs, as `Run.state` has them: "running", "paused", …
            name: of the runs' specs.
        """
        wanted = [run_pb2.RunState.Value(f"RUN_STATE_{state.upper()}") for state in states]
        token = ""
        while True:
            request = controller_pb2.ListRunsRequest(states=wanted, name=name, page_size=PAGE_SIZE, page_token=token)
            page = self.call(self.controller.ListRuns, request)
            yield from (Run(self, run) for run in page.runs)
            token = page.next_page_token
            if not token:
                return

    def call(self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """Calls a method of the controller, again where it is away."""
        return retrying(lambda: method(request, metadata=self.metadata, timeout=self.timeout), self.patience)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Retort":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _message(spec: Spec) -> run_spec_pb2.RunSpec:
    if isinstance(spec, run_spec_pb2.RunSpec):
        return spec
    return json_format.ParseDict(dict(spec), run_spec_pb2.RunSpec())
