"""The follower's parameters as a node: those of following/, and where its commands go."""

from __future__ import annotations

from dataclasses import dataclass

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
class CmdVelParameters:
    """Of output cmd_vel."""

    type: str = parameter("twist_stamped", "message type of cmd_vel", choices=("twist_stamped", "twist"))
    frame_id: str = parameter("base_link", "header.frame_id of cmd_vel: the body's frame")


@dataclass(frozen=True)
class MavrosParameters:
    """Of output mavros."""

    topic: str = parameter("mavros/setpoint_velocity/cmd_vel", "topic of MAVROS' setpoint_velocity plugin")
    frame: str = parameter(
        "base_link",
        "what the plugin's mav_frame reads: base_link for BODY_NED, map (east, north, up; needs odom) for LOCAL_NED",
        choices=("base_link", "map"),
    )


@dataclass(frozen=True)
class MavlinkParameters:
    """Of output mavlink."""

    address: str = parameter("udpin:127.0.0.1:14551", "pymavlink's address: udpin:, udpout:, tcp:HOST:PORT or a device")
    baud: int = parameter(57600, "speed of a serial device", unit="baud", minimum=1200, maximum=4000000)
    system_id: int = parameter(1, "own MAVLink system: that of the drone", minimum=1, maximum=255)
    heartbeat_timeout_s: float = parameter(
        3.0, "autopilot not heard for this long: zero", unit="s", minimum=0.5, maximum=30.0
    )


@dataclass(frozen=True)
class FollowerNodeParameters(FollowerParameters):
    """All parameters of the node `follower`."""

    output: str = parameter(
        "cmd_vel", "where commands go", choices=("cmd_vel", "mavros", "ardupilot_dds", "px4", "mavlink")
    )
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
    cmd_vel: CmdVelParameters = CmdVelParameters()
    mavros: MavrosParameters = MavrosParameters()
    mavlink: MavlinkParameters = MavlinkParameters()
