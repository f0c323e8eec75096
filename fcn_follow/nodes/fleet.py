"""The segmenters of several drones in one process, on a ground machine: they share one network and its engine."""

from __future__ import annotations

import sys
from collections import Counter

from rclpy.exceptions import InvalidNamespaceException
from rclpy.utilities import remove_ros_args
from rclpy.validate_namespace import validate_namespace

from fcn_follow.errors import UserError
from fcn_follow.inference.sharing import EngineShare
from fcn_follow.nodes.segmenter import SegmenterNode


class Fleet:
    """A segmenter in each namespace that the command line names."""

    def __init__(self) -> None:
        """Raises UserError if the command line names no namespace, or one twice."""
        namespaces = remove_ros_args(sys.argv)[1:]
        twice = [name for name, count in Counter(name.strip("/") for name in namespaces).items() if count > 1]
        if not namespaces or twice:
            wrong = f"{twice[0]} is named twice" if twice else "no namespace is given"
            raise UserError(f"{wrong}; give the namespace of each drone: segmenters drone1 drone2")
        for name in namespaces:
            try:
                validate_namespace("/" + name.strip("/"))
            except InvalidNamespaceException as error:
                reason = str(error).splitlines()[0]
                raise UserError(f"namespace {name}: {reason}") from error
        share = EngineShare(len(namespaces))
        self.nodes = [SegmenterNode(namespace=name, choose=share.choose) for name in namespaces]

    def stop(self) -> None:
        """End all workers."""
        for node in self.nodes:
            node.stop()

    def destroy_node(self) -> None:
        """Destroy all nodes."""
        for node in self.nodes:
            node.destroy_node()
