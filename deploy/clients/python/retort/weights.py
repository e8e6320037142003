"""The files of a model, as the controller sends them."""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from retort.v1 import controller_pb2, flow_pb2


def write_weights(
    directory: Path,
    answer: Callable[[], Iterable[controller_pb2.GetWeightsResponse]],
    retrying: Callable[[Callable[[], int]], int],
) -> int:
    """Writes an answer into a new directory, which appears when all of it is there.

    Returns:
        The policy version.
    """
    target = directory.absolute()
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{directory} is not empty; name a directory that isn't there yet")
    partial = target.with_name(f"{target.name}.partial")

    def once() -> int:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        return _write_files(answer(), partial)

    try:
        version = retrying(once)
        if target.exists():
            target.rmdir()
        partial.rename(target)
        return version
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _File:
    """A file that is being written."""

    def __init__(self, directory: Path, name: str) -> None:
        path = (directory / name).resolve()
        if not path.is_relative_to(directory.resolve()):
            raise ValueError(f"the controller's answer names a file outside of the directory: {name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.bytes = 0
        self.hash = hashlib.sha256()
        self._file: BinaryIO = path.open("xb")

    def append(self, chunk: controller_pb2.FileChunk) -> None:
        if chunk.offset != self.bytes:
            raise ValueError(f"a piece of {self.name} begins at {chunk.offset}, behind {self.bytes} bytes: some are lost")
        self._file.write(chunk.data)
        self.hash.update(chunk.data)
        self.bytes += len(chunk.data)

    def close(self) -> None:
        self._file.close()


def _write_files(answer: Iterable[controller_pb2.GetWeightsResponse], directory: Path) -> int:
    manifest: flow_pb2.WeightsManifest | None = None
    files: dict[str, _File] = {}
    current: _File | None = None
    try:
        for response in answer:
            if response.HasField("manifest"):
                manifest = response.manifest
                continue
            if current is None or current.name != response.chunk.name:
                if current:
                    current.close()
                current = files[response.chunk.name] = _File(directory, response.chunk.name)
            current.append(response.chunk)
    finally:
        if current:
            current.close()
    if manifest is None:
        raise ValueError("the controller's answer has no manifest")
    _check(manifest, files)
    return manifest.version


def _check(manifest: flow_pb2.WeightsManifest, files: dict[str, _File]) -> None:
    for wanted in manifest.files:
        found = files.get(wanted.name)
        if found is None or found.bytes != wanted.size_bytes:
            raise ValueError(f"{wanted.name} has {found.bytes if found else 'no'} bytes of {wanted.size_bytes}; export it again")
        if wanted.digest and found.hash.hexdigest() != wanted.digest:
            raise ValueError(f"{wanted.name} is damaged: its SHA-256 is not {wanted.digest}; export it again")
