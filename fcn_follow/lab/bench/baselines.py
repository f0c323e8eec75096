"""The usual ways to run the plain network: torch.compile, ONNX Runtime on torch.onnx's export, and OpenVINO.

All take the module of `PlainNetwork` without this package's rewriting, and give the same answer as an engine.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import Answer, Engine, EngineSpec
from fcn_follow.inference.operations import Codes
from fcn_follow.inference.torch_engines import DTYPES, PlainNetwork, cpu_threads, keep_compiled_code_private
from fcn_follow.networks.weights import LoadedWeights

WARM_UP = 3


class _FrameToCodes(nn.Module):
    """The plain network from uint8 N x H x W x 3 to codes uint8 N x H x W."""

    def __init__(self, weights: LoadedWeights) -> None:
        super().__init__()
        self._plain = PlainNetwork(weights)
        self._codes = Codes(weights.card.thresholds)

    def forward(self, images: Tensor) -> Tensor:
        return self._codes.run(self._plain(images)[0])


class TorchCompile:
    """torch.compile of the module; on a GPU in its mode that replays CUDA graphs."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, batch: int) -> None:
        self.spec, self.device_name = spec, spec.device
        keep_compiled_code_private()
        module = _FrameToCodes(weights).to(spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mode = "reduce-overhead" if spec.device == "cuda" else "default"
        self._run: Callable[[Tensor], Tensor] = torch.compile(module, dynamic=False, mode=mode)
        for _ in range(WARM_UP):
            self.run(_blank(weights, batch))

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> Answer:
        dtype = DTYPES[self.spec.precision]
        with cpu_threads(self.spec), torch.autocast(self.spec.device, dtype, dtype is not torch.float32):
            return Answer(self._run(torch.tensor(images, device=self.spec.device)).cpu().numpy())


class TorchOnnx:
    """ONNX Runtime on torch.onnx's own export of the module."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, batch: int) -> None:
        import onnxruntime  # here: may be missing

        self.spec, self.device_name = spec, spec.device
        exported = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of each branch on a shape, and that it is deprecated
            # the other exporter also needs the package onnxscript
            module, blank = _FrameToCodes(weights), torch.from_numpy(_blank(weights, batch))
            torch.onnx.export(module, (blank,), exported, dynamo=False)  # type: ignore[arg-type]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = spec.threads
        options.log_severity_level = 3
        provider = "CPUExecutionProvider" if spec.device == "cpu" else "CUDAExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise UserError(f"ONNX Runtime has no {provider} here")
        self._session = onnxruntime.InferenceSession(exported.getvalue(), options, providers=[provider])
        self._input = self._session.get_inputs()[0].name

    def run(self, images: NDArray[np.uint8]) -> Answer:
        return Answer(self._session.run(None, {self._input: images})[0])


class OpenVinoConvert:
    """`openvino.convert_model` of the module, compiled with the hint LATENCY."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, batch: int) -> None:
        import openvino  # here: may be missing

        from fcn_follow.inference.openvino_engine import PRECISIONS

        self.spec, self.device_name = spec, spec.device
        blank = _blank(weights, batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = openvino.convert_model(
                _FrameToCodes(weights), example_input=torch.from_numpy(blank), input=list(blank.shape)
            )
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(spec.threads),
            "INFERENCE_PRECISION_HINT": PRECISIONS[spec.precision],
        }
        self._request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def run(self, images: NDArray[np.uint8]) -> Answer:
        self._request.infer([images], share_inputs=True, share_outputs=True)
        return Answer(self._request.get_output_tensor(0).data)


@dataclass(frozen=True)
class Baseline:
    """Its class, the engine of this package that needs the same libraries, and its precisions by device."""

    make: Callable[[EngineSpec, LoadedWeights, int], Engine]
    engine: str
    precisions: dict[str, tuple[str, ...]]


BASELINES = {
    # on a CPU a network takes up to a minute to compile, and bf16 by autocast is rarely faster
    "torch.compile": Baseline(TorchCompile, "torch-compiled", {"cpu": ("fp32",), "cuda": ("fp32", "fp16")}),
    "torch.onnx": Baseline(TorchOnnx, "onnxruntime", {"cpu": ("fp32",), "cuda": ("fp32",)}),
    "openvino.convert_model": Baseline(OpenVinoConvert, "openvino", {"cpu": ("fp32", "bf16")}),
}


def _blank(weights: LoadedWeights, batch: int) -> NDArray[np.uint8]:
    return np.zeros((batch, weights.card.input_height_px, weights.card.input_width_px, 3), np.uint8)
