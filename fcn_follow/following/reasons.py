"""Every text with which the follower explains its state, its faults and its refusals.

`follow/state`, the log and the diagnostics show these texts to the user.
"""

from __future__ import annotations

from enum import Enum


class _Text(str, Enum):
    """A text; braces in it take figures."""

    def __str__(self) -> str:
        return str(self.value)

    def with_figures(self, *figures: float | str) -> str:
        """The text with the figures in its braces."""
        return str(self.value).format(*figures)


class Reason(_Text):
    """Why the follower is in its state, or why the drone must not move."""

    RESET = "reset"
    DISABLED = "disabled"
    HERO_SEEN = "hero seen"
    HERO_NOT_SEEN = "hero not seen"
    HERO_LOST = "hero lost"
    NO_FRAMES = "no frames"
    SEARCH_ENDED = "the search has ended"
    CHECKING_TURNS = "turning to and fro: does the picture turn with the drone?"
    NOT_CHECKED = "the drone turned too little to check the picture"
    WAITING = "waiting for the hero"
    CLOCK_JUMPED = "the clock jumped"
    HERO_CONTRADICTED = "the hero is seen where it cannot have gone: starting anew"
    CAMERA_SLOW = "frames come at {:.1f} Hz; following needs at least {:g} Hz"
    PICTURE_FROZEN = "the picture is frozen: the same hero position although the drone is commanded to move"
    PICTURE_MIRRORED = (
        "the picture seems to be mirrored, or its stamps are wrong by more than a second: it does not turn as the "
        "drone does; ~/reset tries again"
    )
    PICTURE_LATE = (
        "images seem to be {:.1f} s older than their stamps, by the drone's turns (set camera.latency_s or stamp them "
        "when they are taken; or does a gimbal turn the camera later than the drone?); ~/reset tries again"
    )
    ODOMETRY_LATE = (
        "odometry seems to be {:.1f} s older than its stamps, by the drone's turns (or camera.latency_s is too large); "
        "~/reset tries again"
    )
    HERO_CLIMB_FAILED = (
        "climbing does not bring the hero into place (is camera.pitch_down_rad right?); ~/reset tries again"
    )
    GROUND_CLIMB_FAILED = (
        "climbing does not lead above limits.minimum_height_m (does odom's z point upwards?); ~/reset tries again"
    )
    PEOPLE_REFUSED = "other people are refused: {}"
    PEOPLE_MISSING = "other people are not reported any more, although the hero is"
    PITCH_DOUBTFUL = (
        "the hero's feet seem to be {:.1f} m {} the ground of the start: is camera.pitch_down_rad too {} by {:.0f} "
        "degrees, hero.height_m wrong, or the ground not level?"
    )
    HERO_HEIGHT = (
        "the hero seems to be {:.2f} m tall, not {:.2f} m (hero.height_m), by the ground under its feet; its distance "
        "is corrected"
    )
    ODOMETRY_STALE = "odometry is stale"
    ODOMETRY_REFUSED = "odometry is refused: {}"
    ODOMETRY_APPEARED = "odometry has appeared"
    ODOMETRY_BACK = "odometry is back"
    ODOMETRY_JUMPED = "odometry jumped by {:.1f} m"
    ODOMETRY_YAW_JUMPED = "odometry's yaw jumped by {:.0f} degrees"
    ODOMETRY_FROZEN = "odometry is frozen: the same position although the drone is commanded to move"
    ODOMETRY_VELOCITY = "odometry's velocity does not match its positions (is the twist in the axes of child_frame_id?)"
    ODOMETRY_YAW_RATE = (
        "odometry's yaw rate does not match its yaw (is its quaternion x, y, z, w, from child_frame_id?)"
    )
    DISOBEDIENCE = "the drone does not do what is commanded, by its odometry"
    OTHER_DIRECTION = (
        "the drone flies in another direction than commanded, again (does the x axis of odom point east, where the "
        "output needs that?); ~/reset tries again"
    )
    COMMAND_IMPOSSIBLE = "the computed command was not finite or impossibly large"


class Limit(_Text):
    """What changed the wanted command: `limited_by` of follow/debug and of the flight report."""

    CAMERA_VIEW = "camera's view"
    RAMP = "ramp"
    COASTING = "coasting"
    NO_FRAMES = "no frames"
    MINIMUM_DISTANCE = "minimum distance"
    MINIMUM_HEIGHT = "minimum height"
    RANGE = "range"
    PEOPLE_OR_HEIGHT = "people or height"
    DRONE_LAGS = "the drone lags"
    SPEED = "speed"
    CLIMB_SPEED = "climb speed"
    YAW_RATE = "yaw rate"
    ACCELERATION = "acceleration"
    CLIMB_ACCELERATION = "climb acceleration"
    YAW_ACCELERATION = "yaw acceleration"
    GUARD_LIMITS = "guard: limits"
    GUARD_ELAPSED_TIME = "guard: elapsed time"
    GUARD_LOWER_LIMITS = "guard: lower limits"
    GUARD_PEOPLE = "guard: people"
    GUARD_HEIGHT = "guard: height"


GUARD_LIMITS = frozenset(limit for limit in Limit if limit.name.startswith("GUARD_"))
"""Reductions by the guard may be abrupt."""
SETTLING = (Reason.ODOMETRY_APPEARED, Reason.ODOMETRY_BACK)
"""The drone does not move for these reasons, but they are no errors."""


class Refusal(_Text):
    """Why an observation is not used, as a continuation of "refused: "."""

    POSITION_NOT_FINITE = "positions that are not finite"
    POSITION_BEHIND_CAMERA = "positions behind the camera"
    POSITION_TOO_NEAR = "positions nearer than {:g} m to the camera"
    POSITION_TOO_FAR = "positions farther than {:g} m"
    POSITION_OUT_OF_VIEW = "positions outside any camera's view"
    NO_QUATERNION = "an orientation that is no unit quaternion"
    VEHICLE_NOT_FINITE = "values that are not finite"
    TILT_TOO_LARGE = "an attitude that lies on its side or upside down (is the quaternion x, y, z, w?)"
    PLACE_TOO_FAR = "a position beyond {:g} m"
    SPEED_TOO_HIGH = "a speed above {:g} m/s"
    YAW_RATE_TOO_HIGH = "a yaw rate above {:g} rad/s"
    PLACE_TOO_UNCERTAIN = "a position with a standard deviation above {:g} m (its covariance)"
    VELOCITY_TOO_UNCERTAIN = "a velocity with a standard deviation above {:g} m/s (its covariance)"
    STAMP_NOT_FINITE = "stamps are not finite"
    STAMP_AHEAD = "stamps are {} ahead of the clock: clocks not synchronised?"
    STAMP_TOO_OLD = "stamps are {} old: clocks not synchronised?"
    STAMP_ZERO = "stamps are zero: does the driver not set them?"
    STAMP_REPEATED = "stamps do not advance"
    FRAMES = "frames whose {}"
    HERO_POSITIONS = "hero positions whose {}"
    PEOPLE = "positions whose {}"
