"""The follower's parameters as a node: those of following/ and autopilots/, and its own."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.parameters import parameter

START_ONLY = (
    "output",
    "start_enabled",
    "rate_hz",
    "reliability",
    "cmd_vel.type",
    "cmd_vel.frame_id",
    "mavros.topic",
    "mavros.frame",
    "mavlink.address",
    "mavlink.baud",
    "mavlink.system_id",
    "mavlink.heartbeat_timeout_s",
)


@dataclass(frozen=True)
class FollowerNodeParameters(OutputParameters, FollowerParameters):
    """All parameters of the node `follower`."""

    start_enabled: bool = parameter(
        False, "follow as soon as a hero is seen, where no vehicle can hear it; false waits for the service ~/enable"
    )
    rate_hz: float = parameter(50.0, "commands a second", unit="Hz", minimum=10.0, maximum=200.0)
    reliability: str = parameter(
        "best_effort",
        "of the subscriptions to hero/position, hero/centroid, people/positions and odom; best_effort hears every "
        "publisher",
        choices=("best_effort", "reliable"),
    )
    camera_frame: str = parameter(
        "", "frame that hero/position must be in: the camera's optical frame; empty takes the first one that comes"
    )
    odom_frame: str = parameter("odom", "frame that odom must be in; a prefix with / before it is allowed")
