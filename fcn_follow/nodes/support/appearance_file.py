"""The file of a hero's appearance; reading needs no ROS."""

from __future__ import annotations

from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.perception.appearance import MAX_FILE_BYTES, Appearance


def read_appearance(path: Path) -> Appearance:
    """The appearance that `Appearance.to_json` wrote. Raises UserError if the file cannot be used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise UserError(f"it is larger than {MAX_FILE_BYTES} bytes")
        return Appearance.from_json(data.decode())
    except OSError as error:
        reason = str(error.strerror or error)
    except (UnicodeDecodeError, UserError) as error:
        reason = str(error)
    raise UserError(f"{path}: the hero's appearance cannot be read: {reason}; give another, or point at the hero anew")
