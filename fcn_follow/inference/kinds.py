"""Engines, precisions and devices by name, without PyTorch: the parameters of all nodes need them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from fcn_follow.errors import UserError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class EngineKind:
    """The class of an engine, the packages that it needs, and the command that installs them.

    An engine that needs no packages is PyTorch and takes the network itself; the others take it as ONNX.
    """

    module: str
    class_name: str
    needs: tuple[str, ...] = ()
    install: str = ""


_HERE = "fcn_follow.inference"
ENGINES = {
    "torch": EngineKind(f"{_HERE}.torch_engines", "EagerEngine"),
    "torch-compiled": EngineKind(f"{_HERE}.torch_engines", "CompiledEngine"),
    "onnxruntime": EngineKind(
        f"{_HERE}.onnxruntime_engine", "OnnxRuntimeEngine", ("onnx", "onnxruntime"),
        "pip install onnx onnxruntime (with a CUDA GPU: onnx onnxruntime-gpu)",
    ),
    "openvino": EngineKind(
        f"{_HERE}.openvino_engine", "OpenVinoEngine", ("onnx", "openvino"), "pip install onnx openvino"
    ),
    "tensorrt": EngineKind(
        f"{_HERE}.onnxruntime_engine", "TensorRtEngine", ("onnx", "onnxruntime", "tensorrt"),
        "pip install onnx onnxruntime-gpu tensorrt",
    ),
}  # fmt: skip


def missing_for(name: str) -> str:
    """The command that installs the missing packages of an engine, or an empty text."""
    kind = ENGINES[name]
    return "" if all(importlib.util.find_spec(package) for package in kind.needs) else kind.install


def check_installed(name: str) -> None:
    """Raise UserError for an engine that is unknown or not installed."""
    if name not in ENGINES:
        raise UserError(f"engine {name!r} is not known; it must be one of auto, {', '.join(ENGINES)}")
    if install := missing_for(name):
        raise UserError(f"engine {name} is not installed; install it with: {install}")
