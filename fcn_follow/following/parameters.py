"""Every number of the follower in one place, with unit, range and meaning; contradictions are refused here.

Distances around the hero are horizontal; heights are above the middle of the hero's body unless they say otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fcn_follow.errors import UserError
from fcn_follow.parameters import parameter
from fcn_follow.shared_parameters import CameraParameters, HeroParameters

BEARINGS = ("keep", "behind", "front", "left", "right", "compass")
LOST_ACTIONS = ("hold", "climb", "land", "return")


@dataclass(frozen=True)
class SetPoints:
    """Where the drone should be, seen from the hero."""

    distance_m: float = parameter(5.0, "horizontal distance to the hero", unit="m", minimum=1.0, maximum=50.0)
    height_m: float = parameter(1.5, "drone above the middle of the hero's body", unit="m", minimum=-1.0, maximum=30.0)
    bearing: str = parameter(
        "keep",
        "side of the hero on which the drone flies: keep what it was on engaging, behind, front, left or right of the "
        "hero's way, or a fixed compass direction",
        choices=BEARINGS,
    )
    compass_rad: float = parameter(
        0.0,
        "with bearing compass: direction from the hero to the drone in odom, 0 along x (east), counter-clockwise",
        unit="rad",
        minimum=-3.1416,
        maximum=3.1416,
    )


@dataclass(frozen=True)
class Gains:
    """How firmly the set points are held."""

    distance_1_s: float = parameter(1.0, "speed per metre of distance error", unit="1/s", minimum=0.0, maximum=5.0)
    bearing_1_s: float = parameter(0.6, "turn rate per rad of bearing error", unit="1/s", minimum=0.0, maximum=5.0)
    height_1_s: float = parameter(0.9, "vertical speed per metre of height error", unit="1/s", minimum=0.0, maximum=5.0)
    yaw_1_s: float = parameter(1.6, "yaw rate per rad of the hero off the middle", unit="1/s", minimum=0.0, maximum=6.0)
    feed_forward: float = parameter(1.0, "share of the hero's velocity that is flown along", minimum=0.0, maximum=1.0)
    reference_rad_s: float = parameter(
        1.2, "natural frequency of the reference model of the set points", unit="rad/s", minimum=0.1, maximum=10.0
    )
    ramp_s: float = parameter(
        1.5, "time in which the speed is let grow from zero after engaging", unit="s", minimum=0.0, maximum=20.0
    )
    yaw_rest_rad_s: float = parameter(
        0.12, "wanted yaw rates below this are taken as rest", unit="rad/s", minimum=0.0, maximum=0.5
    )


@dataclass(frozen=True)
class Limits:
    """What a command never exceeds, whatever came before."""

    speed_m_s: float = parameter(6.0, "horizontal speed", unit="m/s", minimum=0.1, maximum=20.0)
    up_m_s: float = parameter(1.5, "climb speed", unit="m/s", minimum=0.1, maximum=10.0)
    down_m_s: float = parameter(1.0, "descent speed", unit="m/s", minimum=0.1, maximum=10.0)
    acceleration_m_s2: float = parameter(
        4.0, "change of the commanded velocity", unit="m/s^2", minimum=0.1, maximum=20.0
    )
    jerk_m_s3: float = parameter(30.0, "change of the commanded acceleration", unit="m/s^3", minimum=0.5, maximum=200.0)
    yaw_rate_rad_s: float = parameter(1.5, "yaw rate", unit="rad/s", minimum=0.05, maximum=6.0)
    yaw_acceleration_rad_s2: float = parameter(
        4.0, "change of the commanded yaw rate", unit="rad/s^2", minimum=0.1, maximum=50.0
    )
    orbit_m_s: float = parameter(
        2.5, "speed along the circle around the hero, on top of the hero's own", unit="m/s", minimum=0.1, maximum=10.0
    )
    minimum_distance_m: float = parameter(
        2.0,
        "nearer than this to the hero the drone backs off, and towards nobody nearer than this does it move",
        unit="m",
        minimum=0.5,
        maximum=20.0,
    )
    unseen_speed_m_s: float = parameter(
        1.0,
        "anybody may have come nearer at this speed since the camera saw them",
        unit="m/s",
        minimum=0.0,
        maximum=10.0,
    )
    minimum_height_m: float = parameter(
        1.0,
        "below this height the drone climbs first and flies nowhere; above z = 0 of odom, or without odom above the "
        "hero's feet",
        unit="m",
        minimum=0.0,
        maximum=50.0,
    )
    maximum_height_m: float = parameter(
        30.0,
        "above this height the drone does not climb; above where it engaged, or without odom above the hero's feet",
        unit="m",
        minimum=2.0,
        maximum=500.0,
    )
    range_m: float = parameter(
        200.0, "horizontal distance from where it was enabled that is not exceeded", unit="m", minimum=5.0, maximum=2e4
    )


@dataclass(frozen=True)
class Timeouts:
    """How long what is known stays good; all ages are by the data's own stamps."""

    frame_s: float = parameter(
        1.0, "a hero position whose image is older than this is dropped", unit="s", minimum=0.05, maximum=5.0
    )
    tracking_s: float = parameter(
        0.6, "hero not seen for this long: tracking becomes coasting", unit="s", minimum=0.05, maximum=5.0
    )
    camera_s: float = parameter(
        1.5, "no frame at all for this long: zero, at once", unit="s", minimum=0.1, maximum=10.0
    )
    coast_s: float = parameter(
        4.0, "hero not seen for this long: coasting becomes searching", unit="s", minimum=0.1, maximum=30.0
    )
    search_s: float = parameter(
        20.0, "hero not seen for this long: searching becomes holding", unit="s", minimum=0.2, maximum=300.0
    )
    odom_s: float = parameter(
        0.5, "odometry, once it has been received, older than this: zero", unit="s", minimum=0.05, maximum=5.0
    )
    future_s: float = parameter(
        0.1, "a stamp further ahead of the clock than this is refused", unit="s", minimum=0.0, maximum=1.0
    )
    clock_s: float = parameter(
        1.0,
        "a clock that leaps forward by more than this in one step: all is forgotten",
        unit="s",
        minimum=0.1,
        maximum=2.0,
    )
    frozen_s: float = parameter(
        0.5,
        "the same hero position to the last digit for this long while the drone is commanded to move: a frozen picture",
        unit="s",
        minimum=0.2,
        maximum=10.0,
    )
    obey_s: float = parameter(
        0.8, "odometry and commands disagree for this long: zero", unit="s", minimum=0.3, maximum=10.0
    )
    stick_s: float = parameter(0.5, "stick input older than this is let go", unit="s", minimum=0.05, maximum=5.0)


@dataclass(frozen=True)
class EstimatorParameters:
    """What is believed of the hero and of the measurements."""

    acceleration_m_s2: float = parameter(
        1.2, "the hero's usual change of velocity within a second", unit="m/s^2", minimum=0.05, maximum=20.0
    )
    vertical_acceleration_m_s2: float = parameter(
        0.2, "the same, up and down", unit="m/s^2", minimum=0.01, maximum=20.0
    )
    speed_m_s: float = parameter(10.0, "no hero is faster than this", unit="m/s", minimum=1.0, maximum=40.0)
    range_noise: float = parameter(
        0.05, "standard deviation of the measured range, as a share of it", minimum=0.001, maximum=1.0
    )
    angle_noise_rad: float = parameter(
        0.012, "standard deviation of the measured direction", unit="rad", minimum=0.0005, maximum=0.5
    )
    base_noise_m: float = parameter(0.03, "standard deviation at no range", unit="m", minimum=0.001, maximum=5.0)
    gate_sigma: float = parameter(
        4.5, "a measurement further off than this (Mahalanobis distance) is an outlier", minimum=1.0, maximum=100.0
    )
    confirm_s: float = parameter(
        0.4, "a new hero is accepted after it has been seen for this long", unit="s", minimum=0.0, maximum=10.0
    )


@dataclass(frozen=True)
class SearchParameters:
    """How the drone looks for a hero that is lost, and what it does when it does not find it."""

    look_s: float = parameter(
        4.0, "time to look where the hero should be by now, before turning round", unit="s", minimum=0.0, maximum=60.0
    )
    look_rate_rad_s: float = parameter(1.0, "yaw rate of that look", unit="rad/s", minimum=0.05, maximum=6.0)
    turn_rate_rad_s: float = parameter(
        0.6,
        "yaw rate of the slow turn that follows, towards the side where the hero left",
        unit="rad/s",
        minimum=0.05,
        maximum=6.0,
    )
    action: str = parameter(
        "hold",
        "what holding does at the end of the search: hold (zero), climb (once by climb_m, then zero), land or return "
        "(zero, and the request is published: the autopilot's mode is never changed from here)",
        choices=LOST_ACTIONS,
    )
    climb_m: float = parameter(3.0, "height of the climb of action climb", unit="m", minimum=0.5, maximum=30.0)
    climb_m_s: float = parameter(0.5, "speed of the climb of action climb", unit="m/s", minimum=0.1, maximum=5.0)

    @property
    def climb_s(self) -> float:
        """How long the climb takes; 0 for the other actions."""
        return self.climb_m / self.climb_m_s if self.action == "climb" else 0.0


@dataclass(frozen=True)
class FollowerCameraParameters(CameraParameters):
    """The camera's mount, and where in the picture the hero is kept."""

    keep_rad: float = parameter(
        0.4,
        "the hero's middle is kept within this angle above and below the optical axis",
        unit="rad",
        minimum=0.05,
        maximum=1.2,
    )


@dataclass(frozen=True)
class VehicleParameters:
    """What must be assumed where odometry does not tell."""

    response_s: float = parameter(
        0.8,
        "time constant with which the drone takes up a velocity: 0.8 for ArduCopter's defaults, 0.3 for a quick drone; "
        "the room to stop and, without odom, the drone's place are computed with it",
        unit="s",
        minimum=0.1,
        maximum=3.0,
    )


@dataclass(frozen=True)
class FollowerParameters:
    """All of them. Raises UserError where two contradict each other."""

    set_points: SetPoints = SetPoints()
    gains: Gains = Gains()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    estimator: EstimatorParameters = EstimatorParameters()
    search: SearchParameters = SearchParameters()
    camera: FollowerCameraParameters = FollowerCameraParameters()
    hero: HeroParameters = field(default_factory=HeroParameters)
    vehicle: VehicleParameters = VehicleParameters()

    def __post_init__(self) -> None:
        self._ordered("limits.minimum_distance_m", "set_points.distance_m")
        self._ordered("limits.minimum_height_m", "limits.maximum_height_m")
        self._ordered("timeouts.tracking_s", "timeouts.coast_s")
        self._ordered("timeouts.coast_s", "timeouts.search_s")
        self._ordered("timeouts.tracking_s", "timeouts.camera_s")

    def _ordered(self, lower: str, upper: str) -> None:
        values = [getattr(getattr(self, name.split(".")[0]), name.split(".")[1]) for name in (lower, upper)]
        if not values[0] < values[1]:
            raise UserError(f"parameter {lower} ({values[0]:g}) must be below {upper} ({values[1]:g})")
