"""A network as a graph of a dozen operations: what rewriting.py works on and what engines are made from.

A graph is in running order, each node named, each operation a frozen dataclass with its tensors. Tensors are N x C x H
x W unless an operation says otherwise. `Interpreter` runs a graph in PyTorch; onnx_model.py writes it as ONNX.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """The input: uint8 N x H x W x 3 RGB becomes float, value / 127.5 - 1."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Zeros around it (top, bottom, left, right), then a convolution with weight (out, in / groups, rows, columns).

    stride and dilation are of rows and columns.
    """

    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def is_pointwise(self) -> bool:
        return self.weight.shape[2:] == (1, 1) and self.stride == (1, 1) and self.groups == 1


@dataclass(frozen=True, eq=False)
class Affine:
    """Each channel times its scale plus its shift: a batch norm that no longer learns."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True, eq=False)
class Shift:
    """Each channel plus its shift."""

    shift: Tensor


@dataclass(frozen=True)
class Upsample2x:
    """Twice the size; every second pixel is the mean of its neighbours, the last one is repeated.

    few_channels is their number where it is known and small, else 0.
    """

    few_channels: int = 0


@dataclass(frozen=True)
class Crop:
    """The top left height x width pixels."""

    height_px: int
    width_px: int


@dataclass(frozen=True)
class Join:
    """Several tensors, one behind the other along the channels."""


@dataclass(frozen=True)
class MaxPool:
    """The largest of each window; nothing around (top, bottom, left, right) is ever the largest."""

    pool: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]


@dataclass(frozen=True)
class Unpool2x:
    """Of a coarse and a fine tensor: the coarse values where in each 2x2 pixels of the fine one the first largest is.

    It is 0 elsewhere: what SegNet's decoder does with the indices of its pooling.
    """


@dataclass(frozen=True)
class Add:
    """The sum of tensors."""


@dataclass(frozen=True)
class Multiply:
    """The product of two tensors, one of which may be N x C x 1 x 1."""


@dataclass(frozen=True)
class FrameMean:
    """The mean over the frame, N x C x 1 x 1."""


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-x))."""


@dataclass(frozen=True)
class WithMirrored:
    """N frames become 2 N: the frames, then their mirror images."""


@dataclass(frozen=True)
class Probabilities:
    """Softmax along the channels; of frames with their mirror images, the mean of both, N again."""

    mirrored: bool


@dataclass(frozen=True)
class Codes:
    """Probabilities of three classes as bytes, uint8 N x H x W: see `perception/labels.py`, which reads them.

    1 where other people are likelier than background, and 2 more for each threshold that the hero's probability
    reaches. It is compared as p_0 + p_1 <= 1 - threshold: close to 1 the small numbers are the exact ones.
    """

    thresholds: tuple[float, float]


@dataclass(frozen=True)
class FirstChannels:
    """The first `count` channels: of what a network with a depth head gives, the logits."""

    count: int


@dataclass(frozen=True)
class WithDepth:
    """Codes, and the last channel of what a network with a depth head gives, as float N x 2 x H x W."""


Operation = (
    Pixels | Convolution | MaxPool | Unpool2x | Affine | Relu | Shift | Upsample2x | Crop | Join | Add | Multiply
    | FrameMean | Sigmoid | WithMirrored | Probabilities | Codes | FirstChannels | WithDepth
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """An operation and the names of the nodes that it takes."""

    operation: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in running order; the first is the input, the last the output. size_px is the input's (height, width)."""

    nodes: dict[str, Node]
    size_px: tuple[int, int]

    @property
    def output(self) -> str:
        return next(reversed(self.nodes))

    def users(self, name: str) -> list[str]:
        """The nodes that take what `name` gives."""
        return [user for user, node in self.nodes.items() if name in node.inputs]

    def chains(self, *kinds: type) -> Iterator[tuple[str, ...]]:
        """Names of nodes of these kinds, one behind the other, where nothing else takes what is between them."""
        for name, node in self.nodes.items():
            names = (name,) if isinstance(node.operation, kinds[0]) else ()
            for kind in kinds[1:]:
                users = self.users(names[-1]) if names else []
                fits = len(users) == 1 and isinstance(self.nodes[users[0]].operation, kind)
                names = (*names, users[0]) if fits else ()
            if names:
                yield names

    def channels(self, name: str) -> int:
        """How many channels a node gives."""
        node = self.nodes[name]
        if isinstance(node.operation, Pixels):
            return 3
        if isinstance(node.operation, Convolution):
            return node.operation.weight.shape[0]
        counts = [self.channels(before) for before in node.inputs]
        return sum(counts) if isinstance(node.operation, Join) else counts[0]

    def with_operations(self, operations: dict[str, Operation]) -> Graph:
        """A copy with the operations of some nodes replaced."""
        nodes = {
            name: replace(node, operation=operations[name]) if name in operations else node
            for name, node in self.nodes.items()
        }
        return replace(self, nodes=nodes)

    def with_nodes_for(self, gone: Sequence[str], nodes: dict[str, Node]) -> Graph:
        """A copy with other nodes in place of the last of these; the others of these are left out."""
        kept: dict[str, Node] = {}
        for name, node in self.nodes.items():
            kept.update(nodes if name == gone[-1] else {} if name in gone else {name: node})
        return replace(self, nodes=kept)

    def without(self, gone: str) -> Graph:
        """A copy without a node of one input; who took it takes that input."""
        (before,) = self.nodes[gone].inputs
        nodes = {
            name: replace(node, inputs=tuple(before if i == gone else i for i in node.inputs))
            for name, node in self.nodes.items()
            if name != gone
        }
        return replace(self, nodes=nodes)

    def then(self, name: str, operation: Operation, *also: str) -> Graph:
        """A copy with one more operation behind the output; it takes the nodes `also` too."""
        return replace(self, nodes={**self.nodes, name: Node(operation, (self.output, *also))})

    def after(self, before: str, name: str, operation: Operation) -> Graph:
        """A copy with one more operation behind `before`, for all who took that."""
        nodes = {}
        for other, node in self.nodes.items():
            nodes[other] = replace(node, inputs=tuple(name if i == before else i for i in node.inputs))
            if other == before:
                nodes[name] = Node(operation, (before,))
        return replace(self, nodes=nodes)
