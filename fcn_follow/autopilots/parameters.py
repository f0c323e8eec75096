"""The parameters of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.parameters import fixed_parameter


@dataclass(frozen=True)
class CmdVelParameters:
    """Parameters of output cmd_vel."""

    type: str = fixed_parameter("twist_stamped", "message type of cmd_vel", choices=("twist_stamped", "twist"))
    frame_id: str = fixed_parameter("base_link", "header.frame_id of cmd_vel, the frame of the body")


@dataclass(frozen=True)
class MavrosParameters:
    """Parameters of output mavros."""

    topic: str = fixed_parameter("mavros/setpoint_velocity/cmd_vel", "topic of MAVROS' setpoint_velocity plugin")
    node: str = fixed_parameter(
        "", "node of that plugin, whose parameter mav_frame is checked; empty: the name follows from the topic"
    )
    frame: str = fixed_parameter(
        "base_link",
        "frame for the plugin's mav_frame: base_link for BODY_NED, map (east, north, up; needs odom) for LOCAL_NED",
        choices=("base_link", "map"),
    )


@dataclass(frozen=True)
class MavlinkParameters:
    """Parameters of output mavlink."""

    address: str = fixed_parameter(
        "udpin:127.0.0.1:14551", "pymavlink address: udpin:, udpout:, tcp:HOST:PORT or a device"
    )
    baud: int = fixed_parameter(57600, "speed of a serial device", unit="baud", minimum=1200, maximum=4000000)
    target_system: int = fixed_parameter(1, "MAVLink system id of the vehicle to fly", minimum=1, maximum=255)
    system_id: int = fixed_parameter(
        1, "own MAVLink system id; a companion computer has the drone's", minimum=1, maximum=255
    )
    heartbeat_timeout_s: float = fixed_parameter(
        3.0, "time without a heartbeat after which the command is zero", unit="s", minimum=0.5, maximum=30.0
    )


@dataclass(frozen=True)
class OutputParameters:
    """The output, and the parameters of each kind."""

    output: str = fixed_parameter(
        "cmd_vel", "destination of the commands", choices=("cmd_vel", "mavros", "ardupilot_dds", "px4", "mavlink")
    )
    cmd_vel: CmdVelParameters = CmdVelParameters()
    mavros: MavrosParameters = MavrosParameters()
    mavlink: MavlinkParameters = MavlinkParameters()
