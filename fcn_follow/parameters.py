"""Parameters as one frozen dataclass a node, with description, unit and allowed values.

A field is made by `parameter(...)`. A field may itself be such a dataclass; its parameters are then named with a dot
(`limits.speed_m_s`), as in a ROS parameter file. nodes/support/parameters.py declares them on a node, and
nodes/support/parameter_file.py writes config/follow.yaml.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from fcn_follow.errors import MAX_SHOWN, UserError, shown, suggestion

ParameterValue = bool | int | float | str
DataclassT = TypeVar("DataclassT")
TYPES_IN_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class ParameterInfo:
    """Description, unit and allowed values of a parameter."""

    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    needed: bool = False
    """A text that must not be empty."""
    read_only: bool = False
    """It is set at start and cannot change while the node runs."""

    @property
    def allowed(self) -> str:
        """The allowed values in words, with the unit; empty if every value of the right type is allowed."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        unit = f" {self.unit}" if self.unit else ""
        if self.needed:
            return "a text that is not empty"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}{unit}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}{unit}"
        if self.maximum is not None:
            return f"at most {self.maximum:g}{unit}"
        return ""


def parameter(
    default: ParameterValue,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """A dataclass field that is a parameter; range ends are inclusive."""
    needed = isinstance(default, str) and bool(default)  # a text that is empty by default may be empty
    info = ParameterInfo(description, unit, minimum, maximum, choices, needed, read_only)
    return field(default=default, metadata={"parameter": info})


fixed_parameter = partial(parameter, read_only=True)
"""A parameter that cannot change while the node runs."""


def walk_parameters(parameters: object, prefix: str = "") -> Iterator[tuple[str, ParameterInfo, ParameterValue]]:
    """Each parameter of a parameter dataclass, nested ones with dotted names: (name, info, value)."""
    for item in dataclasses.fields(parameters):  # type: ignore[arg-type]
        value = getattr(parameters, item.name)
        if dataclasses.is_dataclass(value):
            yield from walk_parameters(value, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, item.metadata["parameter"], value


def check_value(name: str, info: ParameterInfo, value: object, default: ParameterValue) -> ParameterValue:
    """`value` as the default's type, or UserError with the name, the value and what is allowed."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 1000 else math.inf  # of more digits than a float can have
    if type(value) is not type(default):
        raise UserError(f"parameter {name}: {shown(value)} is not allowed; it must be {TYPES_IN_WORDS[type(default)]}")
    wrong = False
    if info.choices:
        wrong = value not in info.choices
    elif isinstance(value, str):
        wrong = info.needed and not value.strip()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        wrong = (
            (isinstance(value, float) and not math.isfinite(value))
            or (info.minimum is not None and value < info.minimum)
            or (info.maximum is not None and value > info.maximum)
        )
    if wrong:
        raise UserError(
            f"parameter {name}: {shown(value)} is not allowed; it must be {info.allowed or 'a finite number'}"
        )
    assert isinstance(value, (bool, int, float, str))
    return value


def with_values(parameters: DataclassT, values: Mapping[str, object]) -> DataclassT:
    """A copy of `parameters` with some values replaced, by dotted name; all are checked first.

    Raises UserError for an unknown name (with the nearest known one), a wrong type, or a value out of range.
    """
    known = {name: (info, value) for name, info, value in walk_parameters(parameters)}
    for name in values:
        if name not in known:
            raise UserError(f"unknown parameter {str(name)[:MAX_SHOWN]}; {suggestion(str(name), sorted(known))}")
    checked = {name: check_value(name, known[name][0], value, known[name][1]) for name, value in values.items()}
    return _replaced(parameters, checked, "")


def _replaced(parameters: DataclassT, checked: Mapping[str, ParameterValue], prefix: str) -> DataclassT:
    changes: dict[str, Any] = {}
    for item in dataclasses.fields(parameters):  # type: ignore[arg-type]
        value = getattr(parameters, item.name)
        if dataclasses.is_dataclass(value):
            changes[item.name] = _replaced(value, checked, f"{prefix}{item.name}.")
        elif prefix + item.name in checked:
            changes[item.name] = checked[prefix + item.name]
    return dataclasses.replace(parameters, **changes)  # type: ignore[type-var]
