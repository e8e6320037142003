"""Generates retort/v1 from protos.binpb, with types for mypy, while a wheel is built."""

import shutil
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        generated = root / "retort" / "v1"
        shutil.rmtree(generated, ignore_errors=True)
        generated.mkdir()
        described = FileDescriptorSet.FromString((root / "protos.binpb").read_bytes())
        files = [file.name for file in described.file if file.name.startswith("retort/")]
        outputs = [f"--{kind}_out={root}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        code = protoc.main(["protoc", f"--descriptor_set_in={root / 'protos.binpb'}", *outputs, *files])
        if code != 0:
            raise RuntimeError(f"protoc ended with {code}")
        (generated / "__init__.py").write_text('"""Generated from Retort\'s protos."""\n')
