"""A network as a graph of operations: rewriting.py changes it, and engines are made from it.

Nodes are in the order in which they run. `Interpreter` runs a graph in PyTorch; onnx_model.py writes it as ONNX.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fcn_follow.inference.operations import Operation


@dataclass(frozen=True)
class Node:
    """An operation and the names of its input nodes."""

    operation: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they run: the first is the input, the last the output. size_px is (height, width)."""

    nodes: dict[str, Node]
    size_px: tuple[int, int]

    @property
    def output(self) -> str:
        """The name of the last node."""
        return next(reversed(self.nodes))

    def users(self, name: str) -> list[str]:
        """The nodes with the input `name`."""
        return [user for user, node in self.nodes.items() if name in node.inputs]

    def chains(self, *kinds: type) -> Iterator[tuple[str, ...]]:
        """Names of successive nodes of these kinds; all but the last have one user."""
        for name, node in self.nodes.items():
            names = (name,) if isinstance(node.operation, kinds[0]) else ()
            for kind in kinds[1:]:
                users = self.users(names[-1]) if names else []
                fits = len(users) == 1 and isinstance(self.nodes[users[0]].operation, kind)
                names = (*names, users[0]) if fits else ()
            if names:
                yield names

    def channels(self, name: str) -> int:
        """The number of channels of a node's output."""
        counts: dict[str, int] = {}
        for each, node in self.nodes.items():
            counts[each] = node.operation.channels([counts[before] for before in node.inputs])
        return counts[name]

    def with_operations(self, operations: Mapping[str, Operation]) -> Graph:
        """A copy with other operations in some nodes."""
        nodes = {
            name: replace(node, operation=operations[name]) if name in operations else node
            for name, node in self.nodes.items()
        }
        return replace(self, nodes=nodes)

    def with_replaced(self, gone: Sequence[str], nodes: dict[str, Node]) -> Graph:
        """A copy without the nodes `gone`, and with other nodes at the position of the last of these."""
        kept: dict[str, Node] = {}
        for name, node in self.nodes.items():
            kept.update(nodes if name == gone[-1] else {} if name in gone else {name: node})
        return replace(self, nodes=kept)

    def without(self, gone: str) -> Graph:
        """A copy without a node of one input; its users take that input instead."""
        (before,) = self.nodes[gone].inputs
        nodes = {
            name: replace(node, inputs=tuple(before if i == gone else i for i in node.inputs))
            for name, node in self.nodes.items()
            if name != gone
        }
        return replace(self, nodes=nodes)

    def then(self, name: str, operation: Operation, *also: str) -> Graph:
        """A copy with one more operation after the output; it takes the nodes `also` too."""
        return replace(self, nodes={**self.nodes, name: Node(operation, (self.output, *also))})

    def after(self, before: str, name: str, operation: Operation) -> Graph:
        """A copy with one more operation between `before` and its users."""
        nodes = {}
        for other, node in self.nodes.items():
            nodes[other] = replace(node, inputs=tuple(name if i == before else i for i in node.inputs))
            if other == before:
                nodes[name] = Node(operation, (before,))
        return replace(self, nodes=nodes)
