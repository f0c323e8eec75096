"""Declare a parameter dataclass (fcn_follow/parameters.py) on a ROS node, once, with all that a person should know.

`ros2 param describe` then shows each parameter's description, unit and range; a typo or an impossible value in a
YAML file is refused before the node does anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from fcn_follow.errors import UserError
from fcn_follow.parameters import ParameterInfo, ParameterValue, walk_parameters, with_values

DataclassT = TypeVar("DataclassT")
INT64_MAX = 2**63 - 1
OF_ROS_ITSELF = ("qos_overrides.", "use_sim_time", "start_type_description_service")


def declare_parameters(
    node: Node,
    defaults: DataclassT,
    on_change: Callable[[DataclassT], None] | None = None,
    read_only: Collection[str] = (),
) -> DataclassT:
    """Declare every parameter of `defaults` on `node` and return the dataclass with the values given at start.

    Args:
        node: the node; its overrides (command line, YAML file) are taken.
        defaults: a frozen parameter dataclass with its default values.
        on_change: called with the whole new dataclass when somebody sets parameters of the running node; all of
            them are checked before it is called, and when it raises UserError they are refused. Without it, every
            parameter is read-only.
        read_only: names of parameters that cannot change while the node runs.

    Raises:
        UserError: an unknown parameter, a wrong type or a value out of range (name, value and what is allowed).
    """
    overrides = {
        name: override.value
        for name, override in node._parameter_overrides.items()
        if not name.startswith(OF_ROS_ITSELF) and override.type_ != Parameter.Type.NOT_SET
    }
    current = with_values(defaults, overrides)
    for name, info, value in walk_parameters(current):
        fixed = on_change is None or name in read_only
        node.declare_parameter(name, value, _descriptor(info, value, fixed), ignore_override=True)
    if on_change is None:
        return current

    names = {name for name, _, _ in walk_parameters(current)}

    def check_and_take(changes: list[Parameter]) -> SetParametersResult:
        nonlocal current
        values = {change.name: change.value for change in changes if change.name in names}
        if not values:
            return SetParametersResult(successful=True)
        try:
            changed = with_values(current, values)
            on_change(changed)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        current = changed
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check_and_take)
    return current


def _descriptor(info: ParameterInfo, value: ParameterValue, read_only: bool) -> ParameterDescriptor:
    unit = f" [{info.unit}]" if info.unit else ""
    descriptor = ParameterDescriptor(
        description=info.description + unit, additional_constraints=info.allowed, read_only=read_only
    )
    if isinstance(value, bool) or (info.minimum is None and info.maximum is None):
        return descriptor
    if isinstance(value, int):
        lowest = -INT64_MAX if info.minimum is None else int(info.minimum)
        highest = INT64_MAX if info.maximum is None else int(info.maximum)
        descriptor.integer_range = [IntegerRange(from_value=lowest, to_value=highest, step=0)]
    elif isinstance(value, float):
        lowest_value = -sys.float_info.max if info.minimum is None else float(info.minimum)
        highest_value = sys.float_info.max if info.maximum is None else float(info.maximum)
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=lowest_value, to_value=highest_value, step=0.0)
        ]
    return descriptor
