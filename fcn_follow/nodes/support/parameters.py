"""A node whose parameters are a dataclass (fcn_follow/parameters.py), declared with description, unit and range.

`ros2 param describe` shows the description, unit and range of each parameter. An unknown name or an impossible value
in a parameter file or on the command line is refused before the node starts its work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from fcn_follow.errors import UserError
from fcn_follow.parameters import ParameterInfo, ParameterValue, walk_parameters, with_values
from fcn_follow.shared_parameters import SHARED_NAMES

DataclassT = TypeVar("DataclassT")
INT64_MAX = 2**63 - 1
DOUBLE = Parameter.Type.DOUBLE
OF_ROS_ITSELF = ("qos_overrides.", "use_sim_time", "start_type_description_service")


class ParameterNode(Node):  # type: ignore[misc]
    """A node that declares a parameter dataclass with `declare`, once."""

    def __init__(self, name: str, **options: Any) -> None:
        """Raises UserError if a parameter is given without a value."""
        try:
            super().__init__(name, automatically_declare_parameters_from_overrides=True, **options)
        except ValueError as error:  # rclpy does not name the parameter
            raise UserError(f"a parameter of {name} has no value (null or an empty list)") from error

    def declare(self, defaults: DataclassT, on_change: Callable[[DataclassT], None] | None = None) -> DataclassT:
        """Declare every parameter of `defaults` and return the dataclass with the values given at start.

        Args:
            defaults: a frozen parameter dataclass with its default values.
            on_change: called with the whole new dataclass when parameters of the running node are set, after all are
                checked; a UserError from it refuses them. Without it no parameter can change.

        Raises:
            UserError: an unknown parameter, a wrong type or a value out of range (name, value and what is allowed).
        """
        names = {name for name, _, _ in walk_parameters(defaults)}
        given = self._take_given(SHARED_NAMES - names)
        self._refuse_those_of_others(given.keys() - names)
        current = with_values(defaults, given)
        for name, info, value in walk_parameters(current):
            read_only = on_change is None or info.read_only
            self.declare_parameter(name, value, _descriptor(info, value, read_only), ignore_override=True)
        if on_change is None:
            return current

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

        def with_floats(changes: list[Parameter]) -> list[Parameter]:
            return [
                Parameter(change.name, value=float(change.value))
                if type(change.value) is int
                and change.name in names
                and self.get_parameter(change.name).type_ is DOUBLE
                else change
                for change in changes
            ]

        if hasattr(self, "add_pre_set_parameters_callback"):  # since Iron; else rclpy refuses 4 for 4.0
            self.add_pre_set_parameters_callback(with_floats)
        self.add_on_set_parameters_callback(check_and_take)
        return current

    def _refuse_those_of_others(self, unknown: Collection[str]) -> None:
        """Raise UserError for a parameter of another node of this package, which a section /** gives to every node."""
        if not unknown:
            return
        from fcn_follow.nodes.support.parameter_file import SECTIONS  # imports the parameters of all nodes

        for section, parameters in SECTIONS.items():
            for name, _, _ in walk_parameters(parameters):
                if name in unknown:
                    node = section.rpartition("/")[2]
                    raise UserError(
                        f"unknown parameter {name}: it is one of {node}, not of {self.get_name()}; "
                        f"give it to {node} alone: in a parameter file in the section {section}, not /**"
                    )

    def _take_given(self, ignored: frozenset[str]) -> dict[str, object]:
        """The values given at start; undeclares them so that they can be declared again with a descriptor."""
        given = {
            name: parameter.value
            for name, parameter in self.get_parameters_by_prefix("").items()
            if not name.startswith(OF_ROS_ITSELF)
        }
        for name in given:
            self.undeclare_parameter(name)
        return {name: value for name, value in given.items() if name not in ignored}


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
