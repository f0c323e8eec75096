"""The parameters that several nodes need: set once, for all nodes, in the section /** of a parameter file."""

from __future__ import annotations

from dataclasses import dataclass, field

from fcn_follow.geometry import CameraMount
from fcn_follow.parameters import parameter, walk_parameters


@dataclass(frozen=True)
class CameraParameters:
    """How the camera is mounted on the drone."""

    pitch_down_rad: float = parameter(
        0.0,
        "angle by which the camera looks down, from the horizontal if stabilised, else from the body's forward axis",
        unit="rad",
        minimum=-1.5,
        maximum=1.57,
    )
    stabilised: bool = parameter(
        True, "a gimbal removes roll and pitch from the camera; false: the camera has the roll and pitch of odom"
    )
    x_m: float = parameter(0.0, "camera ahead of the body's centre", unit="m", minimum=-5.0, maximum=5.0)
    y_m: float = parameter(0.0, "camera left of the body's centre", unit="m", minimum=-5.0, maximum=5.0)
    z_m: float = parameter(0.0, "camera above the body's centre", unit="m", minimum=-5.0, maximum=5.0)

    base_frame: str = parameter(
        "base_link",
        "frame of the body in TF; the static transform from the camera's frame to it replaces x_m, y_m and z_m and, "
        "unless stabilised, also pitch_down_rad; if TF has no frame of this name, TF is not used",
    )

    @property
    def mount(self) -> CameraMount:
        """The same as a value of fcn_follow.geometry."""
        return CameraMount((self.x_m, self.y_m, self.z_m), self.pitch_down_rad)


@dataclass(frozen=True)
class HeroParameters:
    """The person to follow."""

    height_m: float = parameter(
        1.7, "height of the hero; other people are assumed to be as tall", unit="m", minimum=0.3, maximum=2.5
    )


@dataclass(frozen=True)
class SharedParameters:
    """A node that does not need one of these ignores it."""

    camera: CameraParameters = field(default_factory=CameraParameters)
    hero: HeroParameters = field(default_factory=HeroParameters)


SHARED_NAMES = frozenset(name for name, _, _ in walk_parameters(SharedParameters()))
