"""The node `follower`: hero/position (and odom) in, velocity commands out at a fixed rate, zero when in doubt.

In: hero/position (geometry_msgs/PointStamped, optical frame), hero/centroid (PointStamped; only its stamp is used: the
camera lives even when no hero is seen), odom (nav_msgs/Odometry, optional), stick (geometry_msgs/Twist, optional).
Out: cmd_vel or what the parameter output says; follow/state (diagnostic_msgs/KeyValue: state and reason, latched, on
change and at 1 Hz), follow/request (std_msgs/String, latched: land or return, when the search has ended so),
follow/debug (diagnostic_msgs/DiagnosticArray, each step while somebody listens), /diagnostics at 1 Hz.
Services: ~/enable (std_srvs/SetBool), ~/reset (std_srvs/Trigger).

The stamp of a command is that of the newest image with the hero on which it rests, else now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import PointStamped, Twist
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from fcn_follow.following.explanation import explain
from fcn_follow.following.follower import Follower, FollowerStep
from fcn_follow.following.states import State
from fcn_follow.following.vehicle import vehicle_from_body_twist
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, VelocityCommand
from fcn_follow.nodes.follower_parameters import START_ONLY, FollowerNodeParameters
from fcn_follow.nodes.outputs import make_output
from fcn_follow.nodes.parameters import declare_parameters
from fcn_follow.nodes.status import ERROR, OK, WARN, diagnostics, wrong_topic_types

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
STOP_MESSAGES = 5
STOP_PAUSE_S = 0.02
GRAPH_PERIOD_S = 0.5
WRONG_FRAME_S = 1.0
STAMPS_KEPT = 128


class FollowerNode(Node):
    """Wires topics, services and parameters to Follower; what goes wrong on the way is a fault, and a fault is zero."""

    def __init__(self) -> None:
        super().__init__("follower")
        self._settings = declare_parameters(self, FollowerNodeParameters(), self._take_parameters, START_ONLY)
        self._follower = Follower(self._settings, enabled=self._settings.start_enabled)
        self._output = make_output(self, self._settings)
        self._faults: dict[str, str] = {}
        self._camera_frame = ""
        self._wrong_odom_s = -WRONG_FRAME_S
        self._stamps: dict[float, Any] = {}
        self._step: FollowerStep | None = None
        self._said: tuple[State, str] | None = None
        self._steps = self._frames = 0
        self._clock_moved = (self.get_clock().now().nanoseconds, time.monotonic())
        self._stopped = False

        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy[self._settings.reliability.upper()])
        self._heard = {}
        for topic, message_type, callback in (
            ("hero/position", PointStamped, self._on_hero),
            ("hero/centroid", PointStamped, self._on_centroid),
            ("odom", Odometry, self._on_odom),
            ("stick", Twist, self._on_stick),
        ):
            subscription = self.create_subscription(message_type, topic, self._guarded(callback), qos)
            self._heard[subscription.topic_name] = message_type
        self._hero_topic = self.resolve_topic_name("hero/position")
        self._states = self.create_publisher(KeyValue, "follow/state", LATCHED)
        self._requests = self.create_publisher(String, "follow/request", LATCHED)
        self._debug = self.create_publisher(DiagnosticArray, "follow/debug", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_service(Trigger, "~/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(1.0 / self._settings.rate_hz, self._loop, clock=steady)
        self.create_timer(GRAPH_PERIOD_S, self._guarded(self._watch_graph), clock=steady)
        self.create_timer(1.0, self._guarded(self._report), clock=steady)
        self.get_logger().info(
            f"commands go to {self._settings.output} at {self._settings.rate_hz:g} Hz; "
            + ("following begins when a hero is seen" if self._follower.enabled else "waiting for ~/enable")
        )

    def stop(self) -> None:
        """The last word: several zero commands, then nothing more."""
        self._stopped = True
        self._follower.enable(False)
        for _ in range(STOP_MESSAGES):
            self._send_zero()
            time.sleep(STOP_PAUSE_S)
        self._output.close()

    def _take_parameters(self, parameters: FollowerNodeParameters) -> None:
        self._settings = parameters
        self._follower.set_parameters(parameters)

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """The callback, whose exceptions are logged and stop the drone instead of the node."""

        def call(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self._fail(error)

        return call

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f"zero command: {type(error).__name__}: {error}", throttle_duration_sec=1.0)
        self._follower.reset()
        self._send_zero()

    def _send_zero(self) -> None:
        try:
            yaw = self._step.yaw_odom_rad if self._step else None
            self._output.send(ZERO_COMMAND, self.get_clock().now().to_msg(), yaw)
        except Exception as error:
            self.get_logger().error(f"a zero command could not be sent: {error}", throttle_duration_sec=1.0)

    def _loop(self) -> None:
        if self._stopped:
            return
        try:
            self._watch_clock()
            yaw = self._step.yaw_odom_rad if self._step else None
            self._set_fault("output", self._output.fault(yaw))
            now = self.get_clock().now()
            step = self._follower.step(now.nanoseconds * 1e-9, self._fault())
            kept = self._stamps.get(step.stamp_s) if step.stamp_s is not None else None
            stamp = kept or now.to_msg()
            self._output.send(step.command, stamp, step.yaw_odom_rad)
            self._step = step
            self._steps += 1
            self._tell(step, stamp)
        except Exception as error:
            self._fail(error)

    def _watch_clock(self) -> None:
        """A clock that stands still (a simulator that has gone) is a fault: no age can be told by it."""
        now_ns, steady_s = self.get_clock().now().nanoseconds, time.monotonic()
        if now_ns != self._clock_moved[0]:
            self._clock_moved = (now_ns, steady_s)
        stands = steady_s - self._clock_moved[1] > self._settings.timeouts.clock_s
        self._set_fault("clock", "the clock stands still (is anybody publishing /clock?)" if stands else "")

    def _watch_graph(self) -> None:
        """Two sources of heroes, or two of commands, fight each other."""
        for topic in filter(None, (self._hero_topic, self._output.topic)):
            count = self.count_publishers(topic)
            self._set_fault(topic, f"{count} publishers on {topic}; stop all but one" if count > 1 else "")
        self._set_fault("types", "; ".join(wrong_topic_types(self, self._heard)))
        if time.monotonic() - self._wrong_odom_s > WRONG_FRAME_S:
            self._set_fault("odom", "")

    def _fault(self) -> str:
        return "; ".join(filter(None, self._faults.values()))

    def _set_fault(self, name: str, text: str) -> None:
        """Note or clear a fault, and say it once."""
        if self._faults.get(name, "") == text:
            return
        if text:
            self.get_logger().error(f"holding: {text}")
        else:
            self.get_logger().info(f"no longer: {self._faults[name]}")
        self._faults[name] = text

    def _on_hero(self, message: PointStamped) -> None:
        frame = self._settings.camera_frame or self._camera_frame
        if frame and message.header.frame_id != frame:
            self.get_logger().error(
                f"hero/position in frame {message.header.frame_id!r} instead of {frame!r} is not used "
                "(parameter camera_frame, or ~/reset)",
                once=True,
            )
            return
        self._camera_frame = frame or message.header.frame_id
        stamp_s = self._keep_stamp(message)
        point = message.point
        self._follower.observe_hero(HeroPosition(stamp_s, (point.x, point.y, point.z)))
        self._loop()  # a new position is answered at once; the timer then counts anew
        self._timer.reset()

    def _on_centroid(self, message: PointStamped) -> None:
        self._frames += 1
        self._follower.observe_frame(self._keep_stamp(message))

    def _keep_stamp(self, message: PointStamped) -> float:
        """The stamp in seconds; the message's own is kept, to go out again to the nanosecond."""
        stamp = message.header.stamp
        stamp_s: float = stamp.sec + stamp.nanosec * 1e-9
        self._stamps[stamp_s] = stamp
        while len(self._stamps) > STAMPS_KEPT:
            del self._stamps[next(iter(self._stamps))]
        return stamp_s

    def _on_odom(self, message: Odometry) -> None:
        expected = self._settings.odom_frame
        if message.header.frame_id.rsplit("/", 1)[-1] != expected.rsplit("/", 1)[-1]:
            self._wrong_odom_s = time.monotonic()
            frame = message.header.frame_id
            self._set_fault("odom", f"odom comes in frame {frame!r} instead of {expected!r} (parameter odom_frame)")
            return
        stamp, pose, twist = message.header.stamp, message.pose.pose, message.twist.twist
        position, q = pose.position, pose.orientation
        self._follower.observe_vehicle(
            vehicle_from_body_twist(
                stamp.sec + stamp.nanosec * 1e-9,
                (position.x, position.y, position.z),
                (q.x, q.y, q.z, q.w),
                (twist.linear.x, twist.linear.y, twist.linear.z),
                twist.angular.z,
            )
        )

    def _on_stick(self, message: Twist) -> None:
        linear = message.linear
        self._follower.observe_stick(VelocityCommand(linear.x, linear.y, linear.z, message.angular.z))

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._follower.enable(request.data)
        if not request.data:
            self._send_zero()
        response.success, response.message = True, "enabled" if request.data else "disabled: zero"
        self.get_logger().info(response.message)
        return response

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._follower.reset()
        self._camera_frame = ""
        self._send_zero()
        response.success, response.message = True, "all is forgotten: hero, start, stick's trim"
        return response

    def _tell(self, step: FollowerStep, stamp: Time) -> None:
        """State and reason where they changed; request and debug where there is one."""
        if self._said != (step.state, step.reason):
            self._said = (step.state, step.reason)
            if not self._fault():
                self.get_logger().info(f"{step.state.value}: {step.reason}")
            self._publish_state(step)
            self._requests.publish(String(data=step.request))
        if self._debug.get_subscription_count():
            debug = diagnostics(self, OK, step.reason, explain(step))
            debug.header.stamp = stamp
            self._debug.publish(debug)

    def _publish_state(self, step: FollowerStep) -> None:
        self._states.publish(KeyValue(key=step.state.value, value=step.reason))

    def _report(self) -> None:
        step = self._step
        if step is None:
            return
        self._publish_state(step)
        faults = self._fault()
        quiet = step.state in (State.IDLE, State.TRACKING, State.COASTING)
        level = ERROR if faults else OK if quiet else WARN
        estimator = self._follower.estimator
        values = {
            "commands_hz": self._steps,
            "frames_hz": self._frames,
            "accepted": estimator.accepted,
            "outliers": estimator.outliers,
            "late": estimator.late,
            "heroes_confirmed": estimator.switched,
            **vars(self._follower.counters),
            **explain(step),
        }
        self._steps = self._frames = 0
        message = f"{step.state.value}: {step.reason}" + (f" ({faults})" if faults else "")
        self._diagnostics.publish(diagnostics(self, level, message, values))
