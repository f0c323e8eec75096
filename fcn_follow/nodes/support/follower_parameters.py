"""The follower's parameters as a node: those of following/ and autopilots/, and its own."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.parameters import fixed_parameter, parameter


@dataclass(frozen=True)
class FollowerNodeParameters(OutputParameters, FollowerParameters):
    """All parameters of the node `follower`."""

    start_enabled: bool = fixed_parameter(
        False, "follow as soon as a hero is seen, where no vehicle can hear it; false waits for the service ~/enable"
    )
    rate_hz: float = fixed_parameter(50.0, "commands a second", unit="Hz", minimum=10.0, maximum=200.0)
    reliability: str = fixed_parameter(
        "best_effort",
        "of the subscriptions to hero/position, hero/centroid, people/positions and odom; best_effort hears every "
        "publisher",
        choices=("best_effort", "reliable"),
    )
    camera_frame: str = parameter(
        "", "frame that hero/position must be in: the camera's optical frame; empty takes the first one that comes"
    )
    odom_frame: str = parameter("odom", "frame that odom must be in; a prefix with / before it is allowed")
