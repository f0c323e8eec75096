"""PyTorch as an engine: the unchanged network, which is the reference, or the rewritten graph, compiled."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import Answer, EngineSpec, Output, check_output, deployed_graph
from fcn_follow.inference.interpreter import Interpreter
from fcn_follow.inference.operations import Codes
from fcn_follow.networks.sources.mask_depth import class_logits
from fcn_follow.networks.weights import LoadedWeights
from fcn_follow.share import make_cache

WARM_UP = 3
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class PlainNetwork(nn.Module):
    """The unchanged network from uint8 pixels to probabilities."""

    def __init__(self, weights: LoadedWeights) -> None:
        super().__init__()
        self.network = copy.deepcopy(weights.network)  # `to` changes a module in place, and others use this module
        self.flip_average = weights.card.flip_average

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities N x 3 x H x W of images uint8 N x H x W x 3, and the network's output."""
        pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0  # channels_last in memory
        network_output = self.network(pixels).float()
        p = _probabilities(network_output)
        if self.flip_average:
            p = (p + _probabilities(self.network(pixels.flip(3)).float()).flip(3)) / 2
        return p, network_output


class EagerEngine:
    """The network as it was trained; every other engine is compared with it."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, output: Output, batch: int) -> None:
        self.spec = spec
        self.device_name = _device_name(spec)
        self._dtype = _dtype(spec)
        _compute_in_full(spec)
        check_output(weights.card, output)
        self._output = output
        self._codes = Codes(weights.card.thresholds)
        module = PlainNetwork(weights)
        self._module = module.to(spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> Answer:
        with cpu_threads(self.spec), torch.autocast(self.spec.device, self._dtype, self._dtype is not torch.float32):
            p, network_output = self._module(torch.tensor(images, device=self.spec.device))
            if self._output is Output.PROBABILITIES:
                return Answer(p.cpu().numpy())
            codes = self._codes.run(p).cpu().numpy()
            has_depth = self._output is Output.CODES_AND_DEPTH
            return Answer(codes, network_output[:, -1].cpu().numpy() if has_depth else None)


def keep_compiled_code_private() -> None:
    """Set a private folder for torch.compile and Triton; any user can create their default folder in /tmp."""
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        try:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(make_cache("torchinductor"))
        except OSError as error:
            raise UserError(f"torch.compile has no folder for its code ({error}); use engine torch") from error


class CompiledEngine:
    """The rewritten graph through torch.compile; on a GPU one CUDA graph is captured and replayed."""

    def __init__(self, spec: EngineSpec, weights: LoadedWeights, output: Output, batch: int) -> None:
        self.spec = spec
        self.device_name = _device_name(spec)
        self._output = output
        card = weights.card
        module = Interpreter(deployed_graph(weights, output), _dtype(spec)).to(spec.device).eval()
        keep_compiled_code_private()
        _compute_in_full(spec)
        self._run: Callable[[Tensor], Tensor] = torch.compile(module, dynamic=False)
        self._images = torch.zeros(
            (batch, card.input_height_px, card.input_width_px, 3), dtype=torch.uint8, device=spec.device
        )
        self._replayed: Tensor | None = None
        try:
            with torch.inference_mode(), cpu_threads(spec):
                for _ in range(WARM_UP):
                    self._run(self._images)
        except Exception as error:
            raise UserError(f"torch.compile does not work here ({_first_line(error)}); use engine torch") from error
        if spec.device == "cuda":
            self._graph = torch.cuda.CUDAGraph()
            with torch.inference_mode(), torch.cuda.graph(self._graph):
                self._replayed = self._run(self._images)

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> Answer:
        pixels = torch.from_numpy(np.require(images, requirements="W"))
        if self._replayed is None:
            with cpu_threads(self.spec):
                result: Tensor = self._run(pixels.to(self.spec.device)).cpu()
        else:
            self._images.copy_(pixels)
            self._graph.replay()
            result = self._replayed.cpu()
        return Answer.of(self._output, result.numpy())


def _probabilities(network_output: Tensor) -> Tensor:
    return class_logits(network_output).softmax(dim=1)


@contextmanager
def cpu_threads(spec: EngineSpec) -> Iterator[None]:
    """Let the calling thread compute with the CPU threads of the spec; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(spec.threads if spec.device == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _dtype(spec: EngineSpec) -> torch.dtype:
    if spec.precision == "fp16" and spec.device == "cpu":
        raise UserError("precision fp16 needs a CUDA device; on a CPU use fp32 or bf16")
    return DTYPES[spec.precision]


def _compute_in_full(spec: EngineSpec) -> None:
    """Make fp32 exact: by default cuDNN rounds convolutions to TF32."""
    if spec.precision == "fp32":
        torch.backends.cudnn.allow_tf32 = False


def _device_name(spec: EngineSpec) -> str:
    return torch.cuda.get_device_name(spec.device) if spec.device == "cuda" else "cpu"


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
