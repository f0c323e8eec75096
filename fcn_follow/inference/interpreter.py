"""A graph as a PyTorch module: for torch.compile, torch.export and the tests of rewriting."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fcn_follow.inference.graph import Graph


class Interpreter(nn.Module):
    """A graph as a module: images uint8 N x H x W x 3 to the output of the graph's last operation.

    The network computes in dtype; softmax and thresholds stay in fp32.
    """

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._graph = graph
        self._dtype = dtype
        for name, node in graph.nodes.items():
            for field in node.operation.tensors:
                tensor = getattr(node.operation, field).to(dtype)
                self.register_buffer(f"{name}_{field}", tensor.contiguous(memory_format=_format(tensor)))

    def forward(self, images: Tensor) -> Tensor:
        (pixels, first), *others = self._graph.nodes.items()
        values = {pixels: first.operation.run(images).to(self._dtype)}
        for name, node in others:
            tensors = {field: self.get_buffer(f"{name}_{field}") for field in node.operation.tensors}
            values[name] = node.operation.run(*(values[i] for i in node.inputs), **tensors)
        return values[self._graph.output]


def _format(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
