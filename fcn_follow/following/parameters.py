"""The parameters of the follower, with unit, range and meaning.

Distances from the hero are horizontal. Heights are above the middle of the hero's body, unless stated otherwise.
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
    """The drone's wanted position relative to the hero."""

    distance_m: float = parameter(5.0, "horizontal distance to the hero", unit="m", minimum=1.0, maximum=50.0)
    height_m: float = parameter(
        1.5, "height of the drone above the centre of the hero's body", unit="m", minimum=-1.0, maximum=30.0
    )
    bearing: str = parameter(
        "keep",
        "side of the hero on which the drone flies; keep: the side of the start; behind, front, left, right: relative "
        "to the hero's direction of motion; compass: a fixed direction",
        choices=BEARINGS,
    )
    compass_rad: float = parameter(
        0.0,
        "for bearing compass: direction from the hero to the drone in odom, 0 along x (east), counter-clockwise",
        unit="rad",
        minimum=-3.1416,
        maximum=3.1416,
    )
    orbit_rad_s: float = parameter(
        0.0,
        "rate at which the drone circles round the hero, counter-clockwise seen from above; its speed round the hero "
        "is at most 0.8 of limits.orbit_m_s",
        unit="rad/s",
        minimum=-1.0,
        maximum=1.0,
    )
    dolly_m_s: float = parameter(
        6.0,
        "speed at which the distance goes to a changed distance_m; a low value gives a slow dolly",
        unit="m/s",
        minimum=0.05,
        maximum=20.0,
    )


@dataclass(frozen=True)
class Gains:
    """The gains of the control law."""

    distance_1_s: float = parameter(1.0, "speed per metre of distance error", unit="1/s", minimum=0.0, maximum=5.0)
    bearing_1_s: float = parameter(0.6, "turn rate per rad of bearing error", unit="1/s", minimum=0.0, maximum=5.0)
    height_1_s: float = parameter(0.9, "vertical speed per metre of height error", unit="1/s", minimum=0.0, maximum=5.0)
    yaw_1_s: float = parameter(1.6, "yaw rate per rad between nose and hero", unit="1/s", minimum=0.0, maximum=6.0)
    feed_forward: float = parameter(1.0, "share of the hero's velocity in the command", minimum=0.0, maximum=1.0)
    reference_rad_s: float = parameter(
        1.2, "natural frequency of the reference model of the set points", unit="rad/s", minimum=0.1, maximum=10.0
    )
    pursuit_rad_s: float = parameter(
        2.0,
        "natural frequency of the smoothed hero position that the drone follows; lower is calmer",
        unit="rad/s",
        minimum=0.2,
        maximum=20.0,
    )
    ramp_s: float = parameter(
        1.5, "time of the ramp from zero to full speed at the start of following", unit="s", minimum=0.0, maximum=20.0
    )
    yaw_rest_rad_s: float = parameter(0.12, "dead zone of the wanted yaw rate", unit="rad/s", minimum=0.0, maximum=0.5)


@dataclass(frozen=True)
class Limits:
    """The limits of every command."""

    speed_m_s: float = parameter(6.0, "horizontal speed", unit="m/s", minimum=0.1, maximum=20.0)
    up_m_s: float = parameter(1.5, "climb speed", unit="m/s", minimum=0.1, maximum=10.0)
    down_m_s: float = parameter(1.0, "descent speed", unit="m/s", minimum=0.1, maximum=10.0)
    acceleration_m_s2: float = parameter(
        2.5, "change of the commanded velocity", unit="m/s^2", minimum=0.1, maximum=20.0
    )
    jerk_m_s3: float = parameter(8.0, "change of the commanded acceleration", unit="m/s^3", minimum=0.5, maximum=200.0)
    yaw_rate_rad_s: float = parameter(1.5, "yaw rate", unit="rad/s", minimum=0.05, maximum=6.0)
    yaw_acceleration_rad_s2: float = parameter(
        4.0, "change of the commanded yaw rate", unit="rad/s^2", minimum=0.1, maximum=50.0
    )
    orbit_m_s: float = parameter(
        2.5, "speed around the hero, added to the hero's own", unit="m/s", minimum=0.1, maximum=10.0
    )
    minimum_distance_m: float = parameter(
        2.0,
        "the drone backs off from a hero nearer than this, and does not move towards any person nearer than this",
        unit="m",
        minimum=0.5,
        maximum=20.0,
    )
    unseen_speed_m_s: float = parameter(
        1.0,
        "assumed speed of a person towards the drone since the last image",
        unit="m/s",
        minimum=0.0,
        maximum=10.0,
    )
    minimum_height_m: float = parameter(
        1.0,
        "below this height the drone only climbs; measured from z = 0 of odom, or without odom from the hero's feet",
        unit="m",
        minimum=0.0,
        maximum=50.0,
    )
    maximum_height_m: float = parameter(
        30.0,
        "the drone does not climb above this height; measured from the start, or without odom from the hero's feet",
        unit="m",
        minimum=2.0,
        maximum=500.0,
    )
    range_m: float = parameter(200.0, "maximum horizontal distance from the start", unit="m", minimum=5.0, maximum=2e4)


@dataclass(frozen=True)
class Timeouts:
    """How long data stay valid; all ages are by the stamps of the data."""

    frame_s: float = parameter(
        1.0, "maximum age of the image of a hero position; an older one is refused", unit="s", minimum=0.05, maximum=5.0
    )
    tracking_s: float = parameter(
        0.6, "time without the hero after which tracking becomes coasting", unit="s", minimum=0.05, maximum=5.0
    )
    camera_s: float = parameter(
        1.5, "time without any frame after which the command is zero at once", unit="s", minimum=0.1, maximum=10.0
    )
    coast_s: float = parameter(
        4.0, "time without the hero after which coasting becomes searching", unit="s", minimum=0.1, maximum=30.0
    )
    search_s: float = parameter(
        20.0, "time without the hero after which searching becomes holding", unit="s", minimum=0.2, maximum=300.0
    )
    odom_s: float = parameter(
        0.5,
        "age of odometry after which the command is zero, once odometry was received",
        unit="s",
        minimum=0.05,
        maximum=5.0,
    )
    future_s: float = parameter(
        0.1, "a stamp that is farther ahead of the clock than this is refused", unit="s", minimum=0.0, maximum=1.0
    )
    clock_s: float = parameter(
        1.0,
        "the follower starts again if the clock jumps by more than this in one step",
        unit="s",
        minimum=0.1,
        maximum=2.0,
    )
    frozen_s: float = parameter(
        0.5,
        "a hero position that stays exactly the same for this time, while the drone must move, means a frozen picture",
        unit="s",
        minimum=0.2,
        maximum=10.0,
    )
    obey_s: float = parameter(
        0.8,
        "time that odometry may contradict the commands before the command is zero",
        unit="s",
        minimum=0.3,
        maximum=10.0,
    )
    stick_s: float = parameter(
        0.5, "maximum age of stick input; older input is ignored", unit="s", minimum=0.05, maximum=5.0
    )


@dataclass(frozen=True)
class EstimatorParameters:
    """The noise of the hero's motion and of the measurements."""

    acceleration_m_s2: float = parameter(
        3.0,
        "change of the hero's velocity in one second while it turns, starts or stops",
        unit="m/s^2",
        minimum=0.05,
        maximum=20.0,
    )
    steady_acceleration_m_s2: float = parameter(
        0.1,
        "change of the hero's velocity in one second while it walks steadily",
        unit="m/s^2",
        minimum=0.01,
        maximum=20.0,
    )
    vertical_acceleration_m_s2: float = parameter(
        0.2, "change of the hero's vertical velocity in one second", unit="m/s^2", minimum=0.01, maximum=20.0
    )
    speed_m_s: float = parameter(10.0, "maximum speed of a hero", unit="m/s", minimum=1.0, maximum=40.0)
    range_noise: float = parameter(
        0.03, "standard deviation of the measured range, as a share of the range", minimum=0.001, maximum=1.0
    )
    swing_noise: float = parameter(
        0.05,
        "standard deviation of the range's swing with the hero's steps, as a share of the range",
        minimum=0.0,
        maximum=1.0,
    )
    angle_noise_rad: float = parameter(
        0.012, "standard deviation of the measured direction", unit="rad", minimum=0.0005, maximum=0.5
    )
    base_noise_m: float = parameter(
        0.03, "standard deviation of the measured position at zero range", unit="m", minimum=0.001, maximum=5.0
    )
    height_correction: float = parameter(
        0.12,
        "maximum correction of hero.height_m, as a share of that height; it is measured in the first seconds from the "
        "ground under the hero's feet; needs odom; 0: none",
        minimum=0.0,
        maximum=0.3,
    )
    gate_sigma: float = parameter(
        4.5, "Mahalanobis distance beyond which a measurement is an outlier", minimum=1.0, maximum=100.0
    )
    confirm_s: float = parameter(
        0.4, "time that a new hero must be seen before it is accepted", unit="s", minimum=0.0, maximum=10.0
    )


@dataclass(frozen=True)
class SearchParameters:
    """The search for a lost hero, and the action at its end."""

    look_s: float = parameter(
        4.0, "time to look towards the predicted hero before the slow turn begins", unit="s", minimum=0.0, maximum=60.0
    )
    look_rate_rad_s: float = parameter(
        1.0, "yaw rate while looking towards the predicted hero", unit="rad/s", minimum=0.05, maximum=6.0
    )
    turn_rate_rad_s: float = parameter(
        0.6,
        "yaw rate of the slow turn, towards the side on which the hero left the image",
        unit="rad/s",
        minimum=0.05,
        maximum=6.0,
    )
    action: str = parameter(
        "hold",
        "action at the end of the search: hold (zero), climb (once by climb_m, then zero), land or return (zero, and "
        "the request is published; the follower never changes the autopilot's mode)",
        choices=LOST_ACTIONS,
    )
    climb_m: float = parameter(3.0, "height of the climb, for action climb", unit="m", minimum=0.5, maximum=30.0)
    climb_m_s: float = parameter(0.5, "speed of the climb, for action climb", unit="m/s", minimum=0.1, maximum=5.0)

    @property
    def climb_s(self) -> float:
        """The duration of the climb, 0 for the other actions."""
        return self.climb_m / self.climb_m_s if self.action == "climb" else 0.0


@dataclass(frozen=True)
class FollowerCameraParameters(CameraParameters):
    """The camera's mount, and where in the picture the hero is kept."""

    keep_rad: float = parameter(
        0.4,
        "maximum angle of the hero's centre above or below the optical axis",
        unit="rad",
        minimum=0.05,
        maximum=1.2,
    )
    latency_s: float = parameter(
        0.0,
        "time from the taking of an image to its stamp, for a driver that stamps images when they arrive",
        unit="s",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class VehicleParameters:
    """Assumptions about the drone and the hero."""

    response_s: float = parameter(
        0.8,
        "time constant of the drone's velocity: 0.8 for ArduCopter's defaults, 0.3 for a quick drone; used for the "
        "stopping distance and, without odom, for dead reckoning",
        unit="s",
        minimum=0.1,
        maximum=3.0,
    )
    braking_m_s2: float = parameter(
        4.0,
        "deceleration of the drone when the command falls to zero at once; the guard keeps room for it",
        unit="m/s^2",
        minimum=0.2,
        maximum=20.0,
    )


@dataclass(frozen=True)
class FollowerParameters:
    """All parameters of the follower. Raises UserError if two contradict each other."""

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
        self._require_order("limits.minimum_distance_m", "set_points.distance_m")
        self._require_order("limits.minimum_height_m", "limits.maximum_height_m")
        self._require_order("timeouts.tracking_s", "timeouts.coast_s")
        self._require_order("timeouts.coast_s", "timeouts.search_s")
        self._require_order("timeouts.tracking_s", "timeouts.camera_s")

    def _require_order(self, lower: str, upper: str) -> None:
        values = [getattr(getattr(self, name.split(".")[0]), name.split(".")[1]) for name in (lower, upper)]
        if not values[0] < values[1]:
            raise UserError(f"parameter {lower} ({values[0]:g}) must be below {upper} ({values[1]:g})")
