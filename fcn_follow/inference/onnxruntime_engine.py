"""ONNX Runtime: on CPUs (on Arm too), on CUDA, and TensorRT through its provider."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import Answer, EngineSpec, Output
from fcn_follow.share import make_cache


class OnnxRuntimeEngine:
    """An ONNX Runtime session in fp32."""

    def __init__(self, spec: EngineSpec, model: bytes, output: Output, batch: int) -> None:
        provider, options = self._provider(spec, model)
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
        self._output = output
        self._session = onnxruntime.InferenceSession(model, session, providers=[(provider, options)])
        (self._input,) = (value.name for value in self._session.get_inputs())

    def _provider(self, spec: EngineSpec, model: bytes) -> tuple[str, dict[str, Any]]:
        if spec.precision != "fp32":
            raise UserError(f"engine onnxruntime computes in fp32, not in {spec.precision}")
        return ("CPUExecutionProvider" if spec.device == "cpu" else "CUDAExecutionProvider"), {}

    def run(self, images: NDArray[np.uint8]) -> Answer:
        (array,) = self._session.run([self._output.value], {self._input: images})
        return Answer.of(self._output, array)


class TensorRtEngine(OnnxRuntimeEngine):
    """ONNX Runtime's TensorRT provider, in fp32 or fp16; building a model's engine takes a minute, once."""

    def _provider(self, spec: EngineSpec, model: bytes) -> tuple[str, dict[str, Any]]:
        if spec.device != "cuda":
            raise UserError("engine tensorrt needs a CUDA GPU: device cuda")
        if spec.precision not in ("fp32", "fp16"):
            raise UserError(f"engine tensorrt has no precision {spec.precision}; it must be fp32 or fp16")
        options = {"trt_fp16_enable": spec.precision == "fp16", "trt_cuda_graph_enable": True}
        return "TensorrtExecutionProvider", {**options, **_engine_cache(model)}


def _engine_cache(model: bytes) -> dict[str, Any]:
    """The provider's options that cache a built engine; none if the folder cannot be made.

    ONNX Runtime does not check the model and the versions of a cached engine
    (https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html), so that each has its own folder.
    """
    import tensorrt  # here: installed only with a GPU

    versions = f"onnxruntime {onnxruntime.__version__}, tensorrt {tensorrt.__version__}: ".encode()
    try:
        folder = make_cache("tensorrt") / hashlib.sha256(versions + model).hexdigest()[:24]
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return {}
    return {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder)}
