"""The definitions of message types that rosbags does not know, from the installed packages."""

from __future__ import annotations

from typing import Any

from rosbags.typesys import TypesysError, get_types_from_msg
from rosbags.typesys.store import Typestore

from fcn_follow.share import ament_share


def learn(types: Typestore, kind: str) -> None:
    """Add a type 'package/msg/Name' and those of its fields. Raises LookupError if a definition is not installed."""
    found: dict[str, Any] = {}
    wanted = [kind]
    while wanted:
        name = wanted.pop()
        if name in types.fielddefs or name in found:
            continue
        try:
            found |= get_types_from_msg(_definition(name), name)
        except (OSError, ValueError, TypesysError) as error:
            raise LookupError(f"its definition of {name} is not installed") from error
        wanted += [part for _, field in found[name][1] for part in _names(field)]
    types.register(found)


def _names(field: Any) -> list[str]:
    """The message types in a field's description; an array's is (kind of node, (its element, length))."""
    _, content = field
    if isinstance(content, str):
        return [content]
    return _names(content[0]) if isinstance(content[0], tuple) else []


def _definition(kind: str) -> str:
    package, _, name = kind.split("/")
    if not (package.isidentifier() and name.isidentifier()):  # the name comes from the network
        raise ValueError(kind)
    return (ament_share(package) / "msg" / f"{name}.msg").read_text(encoding="utf-8")
