"""MAVROS' setpoint_velocity plugin: TwistStamped on setpoint_velocity/cmd_vel.

The frame must fit the plugin's parameter mav_frame, which the output queries: base_link for BODY_NED, map (east, north,
up) for LOCAL_NED, which needs odom with its x axis to the east. Until MAVROS answers, nothing is flown. If
MAVROS has another namespace, set mavros.topic; if the topic is not named after the node, set mavros.node too. The
topic state beside that node reports whether the vehicle is armed, if mavros_msgs is installed.
"""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped

from fcn_follow.autopilots.output import Arming, Host, Output, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.autopilots.twist import body_velocity, map_velocity, twist_stamped
from fcn_follow.errors import UserError
from fcn_follow.geometry import VelocityCommand

ASK_PERIOD_S = 2.0
MAX_STATE_AGE_S = 3.0  # MAVROS publishes its state with each heartbeat of the autopilot, at 1 Hz
MAV_FRAMES = {"base_link": ("BODY_NED", "BODY_OFFSET_NED"), "map": ("LOCAL_NED", "LOCAL_OFFSET_NED")}


class MavrosOutput(Output):
    """Publishes the topic mavros.topic in the frame mavros.frame."""

    def __init__(self, host: Host, parameters: OutputParameters) -> None:
        self._frame_id = parameters.mavros.frame
        topic = parameters.mavros.topic
        self._plugin = parameters.mavros.node or topic.rpartition("/")[0]
        if not self._plugin:
            raise UserError(f"parameter mavros.node: mavros.topic {topic} is not named after MAVROS' node; name it")
        self._mav_frame = ""
        self._arming, self._is_connected = Arming(), True
        self._state_topic = "/".join([*self._plugin.split("/")[:-1], "state"])
        self._arming.listen(host, "mavros_msgs", "State", self._state_topic, Quality(reliable=False), self._take_state)
        self._publish = host.publisher(TwistStamped, topic, Quality())
        self._end_asking = host.every(ASK_PERIOD_S, host.question(self._plugin, "mav_frame", self._take_mav_frame))

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        velocity = body_velocity(command) if self._frame_id == "base_link" else map_velocity(command, yaw_odom_rad)
        self._publish(twist_stamped(velocity, command.yaw_rate_rad_s, stamp, self._frame_id))

    def fault(self, yaw_odom_rad: float | None) -> str:
        wanted = MAV_FRAMES[self._frame_id]
        if not self._mav_frame:
            return (
                f"{self._plugin} has not reported its mav_frame (does MAVROS run, with this node? parameter "
                "mavros.node)"
            )
        if self._mav_frame not in wanted:
            return (
                f"{self._plugin} has mav_frame {self._mav_frame}, but parameter mavros.frame {self._frame_id} needs "
                f"{wanted[0]}; change one of them"
            )
        if self._frame_id == "map" and yaw_odom_rad is None:
            return "output mavros in frame map needs odom"
        if not self._is_connected:
            return "MAVROS has no connection to the autopilot"
        if self._arming.silence_s > MAX_STATE_AGE_S:
            return f"{self._state_topic} is silent (does MAVROS run?)"
        return self._arming.fault

    def take_disarming(self) -> str:
        return self._arming.take_disarming()

    def status(self) -> dict[str, str | float]:
        return {"mavros_mav_frame": self._mav_frame or "unknown", "autopilot_armed": self._arming.words}

    def close(self) -> None:
        self._end_asking()

    def _take_mav_frame(self, mav_frame: str) -> None:
        self._mav_frame = mav_frame

    def _take_state(self, state: Any) -> None:
        self._is_connected = state.connected
        if state.connected:  # else armed is false for want of news
            self._arming.take(state.armed)
