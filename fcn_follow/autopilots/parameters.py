"""Where the commands go, and what each autopilot needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.parameters import fixed_parameter


@dataclass(frozen=True)
class CmdVelParameters:
    """Of output cmd_vel."""

    type: str = fixed_parameter("twist_stamped", "message type of cmd_vel", choices=("twist_stamped", "twist"))
    frame_id: str = fixed_parameter("base_link", "header.frame_id of cmd_vel: the body's frame")


@dataclass(frozen=True)
class MavrosParameters:
    """Of output mavros."""

    topic: str = fixed_parameter("mavros/setpoint_velocity/cmd_vel", "topic of MAVROS' setpoint_velocity plugin")
    frame: str = fixed_parameter(
        "base_link",
        "what the plugin's mav_frame reads: base_link for BODY_NED, map (east, north, up; needs odom) for LOCAL_NED",
        choices=("base_link", "map"),
    )


@dataclass(frozen=True)
class MavlinkParameters:
    """Of output mavlink."""

    address: str = fixed_parameter(
        "udpin:127.0.0.1:14551", "pymavlink's address: udpin:, udpout:, tcp:HOST:PORT or a device"
    )
    baud: int = fixed_parameter(57600, "speed of a serial device", unit="baud", minimum=1200, maximum=4000000)
    system_id: int = fixed_parameter(1, "own MAVLink system: that of the drone", minimum=1, maximum=255)
    heartbeat_timeout_s: float = fixed_parameter(
        3.0, "autopilot not heard for this long: zero", unit="s", minimum=0.5, maximum=30.0
    )


@dataclass(frozen=True)
class OutputParameters:
    """The autopilot, and the parameters of each."""

    output: str = fixed_parameter(
        "cmd_vel", "where commands go", choices=("cmd_vel", "mavros", "ardupilot_dds", "px4", "mavlink")
    )
    cmd_vel: CmdVelParameters = CmdVelParameters()
    mavros: MavrosParameters = MavrosParameters()
    mavlink: MavlinkParameters = MavlinkParameters()
