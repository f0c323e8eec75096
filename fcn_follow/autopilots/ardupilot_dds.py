"""ArduPilot's DDS client: TwistStamped on ap/cmd_vel in the frame map, used in GUIDED mode.

The frame is map (east, north, up) because ArduPilot, from 4.5 to at least 4.7, does not change the sign of linear.y in
base_link and rotates the velocity by roll and pitch too. Whether it is armed is heard on ap/status, where
ardupilot_msgs is installed and ArduPilot sends that; it does so at changes only, so that a silence is not heard.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped

from fcn_follow.autopilots.output import Arming, Host, Output, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.autopilots.twist import map_velocity, twist_stamped
from fcn_follow.geometry import VelocityCommand


class ArdupilotDdsOutput(Output):
    """Publishes the relative topic ap/cmd_vel (/ap/cmd_vel without a namespace)."""

    def __init__(self, host: Host, _parameters: OutputParameters) -> None:
        self._publish = host.publisher(TwistStamped, "ap/cmd_vel", Quality(reliable=False))
        self._arming = Arming(repeats=False)
        self._arming.listen(
            host, "ardupilot_msgs", "Status", "ap/status", Quality(transient_local=True),
            lambda status: self._arming.take(status.armed),
        )  # fmt: skip

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        self._publish(twist_stamped(map_velocity(command, yaw_odom_rad), command.yaw_rate_rad_s, stamp, "map"))

    def fault(self, yaw_odom_rad: float | None) -> str:
        return "output ardupilot_dds needs odom" if yaw_odom_rad is None else self._arming.fault

    def take_disarming(self) -> str:
        return self._arming.take_disarming()

    def status(self) -> dict[str, str | float]:
        return {"autopilot_armed": self._arming.words}
