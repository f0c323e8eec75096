"""OpenVINO: the fastest engine on CPUs of Intel and AMD, also in bf16 on CPUs with instructions for it."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import Answer, EngineSpec, Output

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


def has_bf16() -> bool:
    """Whether this CPU computes in bf16 faster than in fp32."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoEngine:
    """A compiled OpenVINO model; each thread has its own infer request, and the next run overwrites its output."""

    def __init__(self, spec: EngineSpec, model: bytes | Path, output: Output, batch: int) -> None:
        if spec.device != "cpu":
            raise UserError("engine openvino computes on the CPU; with device cuda use onnxruntime or torch-compiled")
        if spec.precision not in PRECISIONS:
            raise UserError(f"engine openvino has no precision {spec.precision}; it must be fp32 or bf16")
        self.spec = spec
        self.device_name = "cpu"
        self._output = output
        self._thread_local = threading.local()
        core = openvino.Core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": str(spec.streams),
            "INFERENCE_NUM_THREADS": str(spec.threads * spec.streams),
            "INFERENCE_PRECISION_HINT": PRECISIONS[spec.precision],
        }
        try:
            read = core.read_model(model)
            wanted = [node for node in read.get_results() if output.value in node.input(0).get_tensor().get_names()]
            network = openvino.Model(wanted, read.get_parameters(), "fcn_follow")
            network.reshape([batch, *(side.get_length() for side in list(network.input(0).partial_shape)[1:])])
            self._compiled = core.compile_model(network, "CPU", options)
            # OpenVINO's first access to an array can deadlock in two threads at once; here there is only one
            self.run(np.zeros(tuple(network.input(0).shape), np.uint8))
        except RuntimeError as error:
            raise UserError(f"OpenVINO cannot take this model: {str(error).strip().splitlines()[-1]}") from error

    def run(self, images: NDArray[np.uint8]) -> Answer:
        request = getattr(self._thread_local, "request", None)
        if request is None:
            request = self._thread_local.request = self._compiled.create_infer_request()
        request.infer([images], share_inputs=True, share_outputs=True)
        return Answer.of(self._output, request.get_output_tensor(0).data)
