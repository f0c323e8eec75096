"""PyTorch as an engine: eager and unchanged, the reference; or the rewritten graph, compiled."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import EngineSpec, Output, check_output, deployed_graph, thresholds
from fcn_follow.inference.interpreter import Interpreter
from fcn_follow.inference.operations import Codes, WithDepth
from fcn_follow.networks.sources.mask_depth import class_logits
from fcn_follow.networks.weights import LoadedWeights
from fcn_follow.share import make_cache

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class EagerEngine:
    """The network as it was trained, layer by layer: what every other engine is compared with."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, output: Output, batch: int) -> None:
        self.spec = spec
        self.device_name = _device_name(spec)
        self._dtype = _dtype(spec)
        check_output(weights.card, output)
        self._output = output
        self._card = weights.card
        self._network = weights.network.to(spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        _set_threads(spec)

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        pixels = torch.tensor(images, device=self.spec.device).permute(0, 3, 1, 2)  # channels_last as it lies
        answer = self._answer(pixels)
        p = _probabilities(answer)
        if self._card.flip_average:
            p = (p + _probabilities(self._answer(pixels.flip(3))).flip(3)) / 2
        if self._output is not Output.PROBABILITIES:
            code = Codes(thresholds(self._card)).run(p)
            p = code if self._output is Output.CODES else WithDepth().run(code, answer)
        return p.cpu().numpy()

    def _answer(self, pixels: Tensor) -> Tensor:
        with torch.autocast(self.spec.device, self._dtype, enabled=self._dtype is not torch.float32):
            answer: Tensor = self._network(pixels.float() / 127.5 - 1.0)
        return answer.float()


def _keep_compiled_code_private() -> None:
    """Give torch.compile and Triton a folder of the user's own; theirs has a name that anybody can take in /tmp."""
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        try:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(make_cache("torchinductor"))
        except OSError as error:
            raise UserError(f"torch.compile has no place for its code ({error}); use engine torch") from error


class CompiledEngine:
    """The rewritten graph through torch.compile; on a GPU one CUDA graph is captured and replayed."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, output: Output, batch: int) -> None:
        self.spec = spec
        self.device_name = _device_name(spec)
        _set_threads(spec)
        card = weights.card
        module = Interpreter(deployed_graph(weights, output), _dtype(spec)).to(spec.device).eval()
        _keep_compiled_code_private()
        self._run = torch.compile(module, dynamic=False)
        self._images = torch.zeros(
            (batch, card.input_height_px, card.input_width_px, 3), dtype=torch.uint8, device=spec.device
        )
        self._replayed: Tensor | None = None
        try:
            with torch.inference_mode():
                for _ in range(3):
                    self._run(self._images)
        except Exception as error:
            raise UserError(f"torch.compile does not work here ({_first_line(error)}); use engine torch") from error
        if spec.device == "cuda":
            self._capture()

    def _capture(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._replayed = self._run(self._images)

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        if self._replayed is None:
            result: Tensor = self._run(torch.from_numpy(np.require(images, requirements="W")))
            return result.numpy()
        self._images.copy_(torch.from_numpy(np.require(images, requirements="W")))
        self._graph.replay()
        return self._replayed.cpu().numpy()


def _probabilities(answer: Tensor) -> Tensor:
    return class_logits(answer).softmax(dim=1)


def _set_threads(spec: EngineSpec) -> None:
    if spec.device == "cpu":
        torch.set_num_threads(spec.threads)


def _dtype(spec: EngineSpec) -> torch.dtype:
    if spec.precision == "fp16" and spec.device == "cpu":
        raise UserError("precision fp16 needs a CUDA device; on a CPU use fp32 or bf16")
    return DTYPES[spec.precision]


def _device_name(spec: EngineSpec) -> str:
    return torch.cuda.get_device_name(spec.device) if spec.device == "cuda" else "cpu"


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
