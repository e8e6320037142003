"""A run: it is watched, steered, and its student taken out here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from retort.errors import PAUSE, RetortError, as_retort_error, retrying
from retort.v1 import controller_pb2, events_pb2, run_pb2
from retort.weights import write_weights

if TYPE_CHECKING:
    from retort.client import Retort


class Run:
    """A run as the controller has last described it."""

    def __init__(self, retort: Retort, pb: run_pb2.Run) -> None:
        self._retort = retort
        #: What the controller has said of it.
        self.pb = pb

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.state}, step {self.step} of {self.pb.total_steps}>"

    @property
    def id(self) -> str:
        return self.pb.run_id

    @property
    def state(self) -> str:
        """pending, running, paused, stopping, succeeded, failed or stopped."""
        return run_pb2.RunState.Name(self.pb.state).removeprefix("RUN_STATE_").lower()

    @property
    def message(self) -> str:
        """Why it is in this state, where that needs saying."""
        return self.pb.message

    @property
    def step(self) -> int:
        """Its last finished step."""
        return self.pb.step

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is running any more."""
        return self.state in ("succeeded", "failed", "stopped")

    def refresh(self) -> Run:
        """Asks how it is now."""
        request = controller_pb2.GetRunRequest(run_id=self.id)
        self.pb = self._retort.call(self._retort.controller.GetRun, request).run
        return self

    def watch(self, from_sequence: int = 0) -> Iterator[events_pb2.RunEvent]:
        """Its events in order, each once, until it is over; a controller that goes away is waited for.

        Args:
            from_sequence: the first event. Default: the run's first.
        """
        controller = self._retort.controller
        last: events_pb2.RunEvent | None = None
        answered = time.monotonic()
        while True:
            request = controller_pb2.WatchRunRequest(run_id=self.id, from_sequence=_next_after(last) if last else from_sequence)
            call = controller.WatchRun(request, metadata=self._retort.metadata)
            try:
                with as_retort_error():
                    for response in call:
                        if _is_same(response.event, last):
                            continue
                        last, answered = response.event, time.monotonic()
                        yield response.event
                # A controller that ends in order ends its streams in order, too.
                if self.refresh().is_over:
                    return
                answered = time.monotonic()
            except RetortError as error:
                if not error.is_away or time.monotonic() - answered > self._retort.patience:
                    raise
            finally:
                call.cancel()
            time.sleep(PAUSE)

    def wait(self) -> Run:
        """Follows it to its end; see `state` and `message` then."""
        for _ in self.watch():
            pass
        return self.refresh()

    def pause(self) -> Run:
        """Asks it to save a checkpoint and hold."""
        request = controller_pb2.PauseRunRequest(run_id=self.id)
        self.pb = self._retort.call(self._retort.controller.PauseRun, request).run
        return self

    def resume(self) -> Run:
        """Goes on with it, be it paused, stopped or failed."""
        request = controller_pb2.ResumeRunRequest(run_id=self.id)
        self.pb = self._retort.call(self._retort.controller.ResumeRun, request).run
        return self

    def stop(self, *, now: bool = False) -> Run:
        """Asks it to save a checkpoint and end.

        Args:
            now: ends it at once, without a checkpoint.
        """
        request = controller_pb2.StopRunRequest(run_id=self.id, now=now)
        self.pb = self._retort.call(self._retort.controller.StopRun, request).run
        return self

    def delete(self) -> int:
        """Removes it, with all but its trained student; returns the bytes that are free again.

        Raises:
            RetortError: FAILED_PRECONDITION while it is going.
        """
        request = controller_pb2.DeleteRunRequest(run_id=self.id)
        with as_retort_error():
            controller = self._retort.controller
            return controller.DeleteRun(request, metadata=self._retort.metadata, timeout=self._retort.timeout).freed_bytes

    def export(self, directory: str | Path, *, version: int | None = None, best: bool = False) -> int:
        """Writes its student into a directory that is empty or not there: the trained one, else the newest weights.

        Args:
            version: a policy version that the run still keeps.
            best: the checkpoint with the best evaluation.

        Returns:
            The policy version.
        """
        request = controller_pb2.GetWeightsRequest(run_id=self.id, version=version, best=best)
        controller, metadata = self._retort.controller, self._retort.metadata
        return write_weights(
            Path(directory),
            lambda: controller.GetWeights(request, metadata=metadata),
            lambda work: retrying(work, self._retort.patience),
        )


def _next_after(last: events_pb2.RunEvent) -> int:
    # A warning may stand before an event, or in its place, under the same number: what comes behind it begins with that number again.
    return last.sequence if last.HasField("warning") else last.sequence + 1


def _is_same(event: events_pb2.RunEvent, last: events_pb2.RunEvent | None) -> bool:
    if last is None or event.sequence != last.sequence or not event.HasField("warning") or not last.HasField("warning"):
        return False
    return event.warning.message == last.warning.message
