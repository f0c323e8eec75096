"""MuJoCo, set up to draw without a window: by OSMesa where it is installed, else by EGL.

MuJoCo reads MUJOCO_GL when it is imported, so all modules import `mujoco` from here; a value set by the user is kept.
"""

from __future__ import annotations

import ctypes.util
import os

from fcn_follow.errors import UserError

if "MUJOCO_GL" not in os.environ:
    os.environ["MUJOCO_GL"] = "osmesa" if ctypes.util.find_library("OSMesa") else "egl"

NOTHING_TO_DRAW_WITH = (
    "the simulator cannot draw: install OSMesa (Debian and Ubuntu: apt install libosmesa6), "
    "or set MUJOCO_GL=egl if EGL is installed"
)

try:
    import mujoco
except Exception as error:  # PyOpenGL raises AttributeError or ImportError without the library
    raise UserError(f"{NOTHING_TO_DRAW_WITH} ({type(error).__name__}: {error})") from error

__all__ = ["NOTHING_TO_DRAW_WITH", "mujoco"]
