"""The parameters of the node `follower`: those of following/ and autopilots/, and its own."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.parameters import fixed_parameter, parameter


@dataclass(frozen=True)
class FollowerNodeParameters(OutputParameters, FollowerParameters):
    """All parameters of the node `follower`."""

    start_enabled: bool = fixed_parameter(
        False,
        "follow as soon as a hero is seen, for use without a vehicle; false: wait for the service ~/enable",
    )
    rate_hz: float = fixed_parameter(50.0, "rate of the commands", unit="Hz", minimum=10.0, maximum=200.0)
    reliability: str = fixed_parameter(
        "best_effort",
        "reliability of the subscriptions to hero/position, hero/centroid, people/positions and odom; best_effort "
        "receives from every publisher",
        choices=("best_effort", "reliable"),
    )
    camera_frame: str = parameter(
        "", "frame of hero/position: the camera's optical frame; empty: that of the first message"
    )
    odom_frame: str = parameter("odom", "frame of odom; a prefix that ends with / is allowed before it")
