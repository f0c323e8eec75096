"""ONNX Runtime: on CPUs (on Arm too), on CUDA, and TensorRT through its provider."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.perception.engines.engine import EngineSpec, Output


class OnnxRuntimeEngine:
    """An ONNX Runtime session in fp32."""

    def __init__(self, spec: EngineSpec, model: bytes, output: Output, batch: int) -> None:
        provider, options = self._provider(spec)
        if provider not in onnxruntime.get_available_providers():
            raise UserError(
                f"engine {spec.name} on {spec.device} needs ONNX Runtime with {provider}: pip install onnxruntime-gpu"
            )
        self.spec = spec
        self.device_name = spec.device
        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = spec.threads
        session.inter_op_num_threads = 1
        session.log_severity_level = 3
        self._outputs = [output.value]
        self._session = onnxruntime.InferenceSession(model, session, providers=[(provider, options)])
        (self._input,) = (value.name for value in self._session.get_inputs())

    def _provider(self, spec: EngineSpec) -> tuple[str, dict[str, Any]]:
        if spec.precision != "fp32":
            raise UserError(f"engine onnxruntime computes in fp32, not in {spec.precision}")
        return ("CPUExecutionProvider" if spec.device == "cpu" else "CUDAExecutionProvider"), {}

    def run(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        result: NDArray[Any] = self._session.run(self._outputs, {self._input: images})[0]
        return result


class TensorRtEngine(OnnxRuntimeEngine):
    """ONNX Runtime's TensorRT provider, in fp32 or fp16; the first start builds the engine, which takes a minute."""

    def _provider(self, spec: EngineSpec) -> tuple[str, dict[str, Any]]:
        if spec.device != "cuda":
            raise UserError("engine tensorrt needs a CUDA GPU: device cuda")
        if spec.precision not in ("fp32", "fp16"):
            raise UserError(f"engine tensorrt has no precision {spec.precision}; allowed is fp32, fp16")
        return "TensorrtExecutionProvider", {"trt_fp16_enable": spec.precision == "fp16", "trt_cuda_graph_enable": True}
