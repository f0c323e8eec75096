"""The node `follower`: hero/position (and odom) in, velocity commands out at a fixed rate, zero on any fault.

In: hero/position (geometry_msgs/PointStamped, optical frame), people/positions (geometry_msgs/PoseArray: other people,
towards whom the drone must not move), hero/centroid (PointStamped; only its stamp is used: it shows that the camera
works even when no hero is seen), segmentation/state (diagnostic_msgs/KeyValue: `fault` with the reason, `choosing`
with the question), odom (nav_msgs/Odometry, optional), stick (geometry_msgs/Twist, optional).
Out: cmd_vel or the topic of another output; follow/state (diagnostic_msgs/KeyValue: state and reason, latched, on
change and at 1 Hz), follow/request (std_msgs/String, latched: land or return, at the end of a search),
follow/debug (diagnostic_msgs/DiagnosticArray, each step while it has a subscriber), follow/markers
(visualization_msgs/MarkerArray, 10 a second while it has a subscriber), /diagnostics at 1 Hz.
Services: ~/enable (std_srvs/SetBool), ~/reset (std_srvs/Trigger).

A command is stamped with the current time. The stamp of the image that it results from is in follow/debug.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import PointStamped, PoseArray, Twist
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.time import Time as RosTime
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from fcn_follow.autopilots.output import make_output, output_topic
from fcn_follow.errors import UserError, shown
from fcn_follow.following.explanation import explain
from fcn_follow.following.follower import Follower, FollowerStep
from fcn_follow.following.parameters import FollowerCameraParameters
from fcn_follow.following.reasons import SETTLING
from fcn_follow.following.states import State
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, VelocityCommand
from fcn_follow.nodes.support.autopilot_host import NodeHost
from fcn_follow.nodes.support.faults import Faults
from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.support.markers import FollowMarkers
from fcn_follow.nodes.support.mount_from_tf import MountFromTf
from fcn_follow.nodes.support.odometry_message import vehicle_state
from fcn_follow.nodes.support.parameters import ParameterNode
from fcn_follow.nodes.support.status import ERROR, OK, WARN, diagnostics, wrong_topic_types

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
STOP_MESSAGES = 5
ENDING_ZEROS = 10
"""Zero commands at the end of following, counted once the vehicle is heard again; then an autopilot gets nothing."""
STOP_PAUSE_S = 0.02
GRAPH_PERIOD_S = 0.1
SILENT_ODOM_S = 1.0  # from discovery or the last message on
WRONG_FRAME_S = CROWD_S = 1.0
MAX_PEOPLE_BYTES = 1 << 16
"""Of a message on people/positions, about 1100 people: they take a few milliseconds to read, 100000 take a second."""
DISCOVERY_S = 1.5
"""How long a starting follower looks for another one; on a busy machine DDS discovery takes a second of it."""
DISAPPEARANCE_S = 3.0
"""How long it waits for another one, which may have been killed just before, to disappear."""
MAX_STALL = 5.0
"""Times `timeouts.clock_s`: a clock that stands still for longer is a fault even without any other messages."""


class FollowerNode(ParameterNode):
    """Wires topics, services and parameters to Follower; on an error it sends a zero command."""

    def __init__(self) -> None:
        super().__init__("follower")
        self._settings = self.declare(FollowerNodeParameters(), self._take_parameters)
        self._follower = Follower(self._settings, enabled=self._settings.start_enabled)
        topic = output_topic(self._settings)
        self._topic = self.resolve_topic_name(topic) if topic else ""
        own_topics = [*filter(None, [self._topic]), self.resolve_topic_name("follow/state")]
        self._require_to_be_alone(own_topics)
        self._output = make_output(NodeHost(self), self._settings)
        self._mount: MountFromTf[FollowerCameraParameters] = MountFromTf(self)
        self._faults = Faults(self.get_logger(), waited_for=("clock", "vehicle", "output"))
        self._camera_frame = ""
        self._first_frame_s = self._right_frame_s = self._wrong_frame_s = self._crowd_s = -math.inf
        self._step: FollowerStep | None = None
        self._zeros_left = 0
        self._flown_s = -math.inf
        self._has_stepped_early = self._has_poses = False
        self._why_disabled = ""
        self._reported: tuple[State, str] | None = None
        self._requested: str | None = None
        self._steps = self._frames = 0
        self._clock_moved = (self.get_clock().now().nanoseconds, time.monotonic())
        self._received_s = self._odom_received_s = -math.inf
        self._odom_appeared_s = math.inf
        self._stepped_s = time.monotonic()
        self._sent_ns = 0
        self._stopped = False

        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy[self._settings.reliability.upper()])
        self._heard = {}
        self._single_sources = own_topics
        # Callbacks run in this order: the people of a frame are known before the step for its hero.
        for topic, message_type, callback, profile, is_single in (
            ("people/positions", PoseArray, self._on_people, qos, True),
            ("hero/position", PointStamped, self._on_hero, qos, True),
            ("hero/centroid", PointStamped, self._on_centroid, qos, True),
            ("segmentation/state", KeyValue, self._on_segmenter_state, LATCHED, True),
            ("odom", Odometry, self._on_odom, qos, True),
            ("stick", Twist, self._on_stick, qos, False),
        ):
            is_raw = message_type is PoseArray  # its size is checked before it is read
            subscription = self.create_subscription(message_type, topic, self._received(callback), profile, raw=is_raw)
            self._heard[subscription.topic_name] = message_type
            if is_single:
                self._single_sources.append(subscription.topic_name)
        self._states = self.create_publisher(KeyValue, "follow/state", LATCHED)
        self._requests = self.create_publisher(String, "follow/request", LATCHED)
        self._debug = self.create_publisher(DiagnosticArray, "follow/debug", 10)
        self._marker_publisher = self.create_publisher(MarkerArray, "follow/markers", 1)
        self._markers = FollowMarkers()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_service(Trigger, "~/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self._settings.rate_hz, self._tick, clock=steady)
        self.create_timer(GRAPH_PERIOD_S, self._guarded(self._watch_graph), clock=steady)
        self.create_timer(1.0, self._guarded(self._watch_types), clock=steady)
        self.create_timer(1.0, self._guarded(self._report), clock=steady)
        begins = "following begins when a hero is seen"
        self.get_logger().info(
            f"commands go to {self._settings.output} at {self._settings.rate_hz:g} Hz; "
            + (begins if self._follower.enabled else f"disabled; {self._how_to_follow()}")
        )

    def _how_to_follow(self) -> str:
        service = self.resolve_service_name("~/enable")
        return f'to follow: ros2 service call {service} std_srvs/srv/SetBool "{{data: true}}"'

    def _require_to_be_alone(self, topics: Sequence[str]) -> None:
        """Raise UserError if another node publishes one of these topics."""
        begun_s = time.monotonic()
        while (taken := self._published(topics)) or time.monotonic() - begun_s < DISCOVERY_S:
            if time.monotonic() - begun_s > DISAPPEARANCE_S:
                raise UserError(
                    f"{taken} already: two nodes must not command one drone; stop it, or wait some "
                    "seconds if it was killed just now"
                )
            time.sleep(0.05)

    def _published(self, topics: Sequence[str]) -> str:
        """The publishers of the first of these topics that has any, in words; empty if none has."""
        for topic in topics:
            if others := self.get_publishers_info_by_topic(topic):
                names = sorted({f"{each.node_namespace.rstrip('/')}/{each.node_name}" for each in others})
                return f"{', '.join(names)} publishes {topic}"
        return ""

    def stop(self) -> None:
        """Send several zero commands, then nothing more."""
        self._stopped = True
        self._follower.enable(False)
        if self._step and self._step.is_flying:
            self._output.announce("fcn_follow: ended: shut down", is_warning=False)
        for _ in range(STOP_MESSAGES):
            self._end_flying()
            time.sleep(STOP_PAUSE_S)
        self._output.close()

    def _take_parameters(self, parameters: FollowerNodeParameters) -> None:
        self._settings = parameters
        self._follower.set_parameters(parameters)
        self._take_mount()

    def _take_mount(self) -> None:
        """Use the camera's mount from TF if TF has it, else that of the parameters."""
        mounted = self._mount.mounted(self._settings.camera, self._camera_frame)
        self._faults.set("mount", self._mount.fault)
        if mounted != self._follower.parameters.camera:
            self._follower.set_parameters(replace(self._settings, camera=mounted))

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """The callback; its exceptions are logged and stop the drone instead of the node."""

        def call(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self._fail(error)

        return call

    def _received(self, callback: Callable[[Any], None]) -> Callable[..., None]:
        """The guarded callback of a subscription, which also records the time of its last message."""

        def take(message: Any) -> None:
            self._received_s = time.monotonic()
            callback(message)

        return self._guarded(take)

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f"zero command: {type(error).__name__}: {error}", throttle_duration_sec=1.0)
        self._follower.start_anew()
        self._end_flying()

    def _end_flying(self) -> None:
        """Send a zero command while some are left after following, else what the vehicle needs."""
        try:
            yaw = self._step.yaw_odom_rad if self._step else None
            if self._zeros_left:
                self._zeros_left -= self._output.has_heard_since(self._flown_s)
                self._output.send(ZERO_COMMAND, self._command_stamp(), yaw)
            else:
                self._output.idle(self._command_stamp(), yaw)
        except Exception as error:
            self.get_logger().error(f"a zero command could not be sent: {error}", throttle_duration_sec=1.0)

    def _tick(self) -> None:
        """Step, unless a hero position has triggered a step since the last tick."""
        has_stepped, self._has_stepped_early = self._has_stepped_early, False
        if not has_stepped:
            self._loop()

    def _loop(self) -> None:
        if self._stopped:
            return
        try:
            self._watch_clock()
            for vehicle in self._output.take_poses():
                self._has_poses = True
                self._follower.observe_vehicle(vehicle)
            self._heed_disarming()
            yaw = self._step.yaw_odom_rad if self._step else None
            self._faults.set("output", self._output.fault(yaw))
            now_s, steady_s = self.get_clock().now().nanoseconds * 1e-9, time.monotonic()
            step = self._follower.step(now_s, self._faults.text, steady_s - self._stepped_s)
            if self._why_disabled and step.state is State.IDLE:
                step = replace(step, reason=self._why_disabled)
            self._stepped_s, last, self._step = steady_s, self._step, step
            if step.is_flying:
                self._zeros_left, self._flown_s = ENDING_ZEROS, steady_s
                self._output.send(step.command, self._command_stamp(), step.yaw_odom_rad)
            else:
                self._end_flying()
            self._announce(last, step)
            self._steps += 1
            self._publish(step)
        except Exception as error:
            self._fail(error)

    def _heed_disarming(self) -> None:
        """Disable after a disarming: a drone that was disarmed in flight would take off by itself once armed again."""
        disarming = self._output.take_disarming()
        if disarming and self._follower.enabled:
            self._follower.enable(False)
            self._why_disabled = f"disabled by {disarming}; {self._how_to_follow()}"
            self.get_logger().warning(self._why_disabled)

    def _command_stamp(self) -> Time:
        """The current time, but never before the last stamp, unless the clock was set back."""
        now_ns = self.get_clock().now().nanoseconds
        if self._sent_ns - now_ns > self._settings.timeouts.clock_s * 1e9:
            self._sent_ns = 0
        self._sent_ns = max(now_ns, self._sent_ns)
        return RosTime(nanoseconds=self._sent_ns).to_msg()

    def _watch_clock(self) -> None:
        """Report a fault if the clock stands still while messages come: ages are then unknown.

        A simulator that pauses to compute stops clock and messages together; one that has ended stops only the clock.
        """
        now_ns, steady_s = self.get_clock().now().nanoseconds, time.monotonic()
        if now_ns != self._clock_moved[0]:
            self._clock_moved = (now_ns, steady_s)
            self._faults.set("clock", "")
            return
        clock_s, moved_s = self._settings.timeouts.clock_s, self._clock_moved[1]
        others_live = self._received_s > moved_s + clock_s / 2
        if steady_s - moved_s > (clock_s if others_live else MAX_STALL * clock_s):
            self._faults.set("clock", "the clock stands still (does a node publish /clock?)")

    def _watch_graph(self) -> None:
        """Report a fault if an input has two publishers, which may contradict, or the commands have no subscriber."""
        odom = self.resolve_topic_name("odom")
        has_odom = bool(self.count_publishers(odom))
        twice = self._has_poses and has_odom
        text = f"the drone's pose comes from the autopilot; stop what publishes {odom}, or remap it" if twice else ""
        self._faults.set("two poses", text)
        steady_s = time.monotonic()
        self._odom_appeared_s = min(self._odom_appeared_s, steady_s) if has_odom else math.inf
        is_silent = steady_s - max(self._odom_appeared_s, self._odom_received_s) > SILENT_ODOM_S
        text = f"{odom} has a publisher, but no messages arrive (is its QoS compatible?)" if is_silent else ""
        self._faults.set("silent odom", text if not self._has_poses else "")
        for topic in self._single_sources:
            count = self.count_publishers(topic)
            self._faults.set(topic, f"{count} publishers on {topic}; stop all but one" if count > 1 else "")
        if self._topic:
            unheard = not self.count_subscribers(self._topic)
            self._faults.set(
                "vehicle", f"no subscriber on {self._topic}: nothing receives the commands" if unheard else ""
            )
        if steady_s - self._wrong_frame_s > WRONG_FRAME_S:
            self._faults.set("frame", "")
        if steady_s - self._crowd_s > CROWD_S:
            self._faults.set("people", "")

    def _watch_types(self) -> None:
        self._faults.set("types", "; ".join(wrong_topic_types(self, self._heard)))

    def _on_hero(self, message: PointStamped) -> None:
        if not self._is_of_the_camera(message):
            return
        point = message.point
        self._follower.observe_hero(HeroPosition(_seconds(message), (point.x, point.y, point.z)))
        if not self._has_stepped_early:
            self._has_stepped_early = True
            self._loop()  # in place of the next tick, so that the rate stays

    def _on_people(self, serialized: bytes) -> None:
        if len(serialized) > MAX_PEOPLE_BYTES:
            self._crowd_s = time.monotonic()
            self._faults.set("people", f"other people are refused: a message is longer than {MAX_PEOPLE_BYTES} bytes")
            return
        message = deserialize_message(serialized, PoseArray)
        if self._is_of_the_camera(message):
            positions = (pose.position for pose in message.poses)
            self._follower.observe_people(_seconds(message), [(each.x, each.y, each.z) for each in positions])

    def _on_centroid(self, message: PointStamped) -> None:
        self._frames += 1
        self._follower.observe_frame(_seconds(message))

    def _on_segmenter_state(self, message: KeyValue) -> None:
        key, value = message.key, message.value
        texts = {"ok": "", "fault": f"segmenter: {value or 'fault'}", "choosing": f"segmenter asks: {value}"}
        self._faults.set("segmenter", texts.get(key, f"segmenter: unknown state {shown(key)}: {shown(value)}"))

    def _is_of_the_camera(self, message: PointStamped | PoseArray) -> bool:
        """Whether a position is in the camera's frame, else a fault; the first frame that persists is the camera's."""
        frame, steady_s = message.header.frame_id, time.monotonic()
        expected = self._settings.camera_frame or self._camera_frame
        if not expected or frame == expected:
            self._first_frame_s = self._first_frame_s if expected else steady_s
            self._camera_frame, self._right_frame_s = frame, steady_s
            self._take_mount()
            return True
        never_persisted = self._right_frame_s - self._first_frame_s < WRONG_FRAME_S < steady_s - self._right_frame_s
        if never_persisted and not self._settings.camera_frame:
            self.get_logger().warning(f"positions come in frame {frame[:80]!r}, no longer in {expected!r}")
            self._camera_frame, self._first_frame_s, self._right_frame_s = frame, steady_s, steady_s
            self._take_mount()
            return True
        self._wrong_frame_s = steady_s
        text = f"positions come in frame {frame[:80]!r} instead of {expected!r} (parameter camera_frame)"
        self._faults.set("frame", text)
        return False

    def _on_odom(self, message: Odometry) -> None:
        self._odom_received_s = time.monotonic()
        if self._has_poses:
            return
        expected = self._settings.odom_frame
        if message.header.frame_id.rsplit("/", 1)[-1] != expected.rsplit("/", 1)[-1]:
            frame = message.header.frame_id[:80]
            self._faults.set("odom", f"odom comes in frame {frame!r} instead of {expected!r} (parameter odom_frame)")
            return
        self._faults.set("odom", "")
        self._follower.observe_vehicle(vehicle_state(message))

    def _on_stick(self, message: Twist) -> None:
        linear = message.linear
        self._follower.observe_stick(VelocityCommand(linear.x, linear.y, linear.z, message.angular.z))

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._follower.enable(request.data)
        self._why_disabled = ""
        if not request.data:
            self._end_flying()
        response.success, response.message = True, "enabled" if request.data else "disabled: zero"
        self.get_logger().info(response.message)
        return response

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._follower.reset()
        self._camera_frame = ""
        self._faults.set("odom", "")
        self._end_flying()
        response.success, response.message = True, "reset: hero, start, odometry and stick trim are forgotten"
        return response

    def _announce(self, last: FollowerStep | None, step: FollowerStep) -> None:
        """Report to the pilot's ground station when following begins, loses the hero and ends."""
        was_flying = last is not None and last.is_flying
        if step.is_flying and not was_flying:
            self._output.announce("fcn_follow: following", is_warning=False)
        elif was_flying and not step.is_flying:
            self._output.announce(f"fcn_follow: ended: {step.reason}", is_warning=step.state is State.HOLDING)
        elif last is not None and step.state is State.SEARCHING and last.state is not State.SEARCHING:
            self._output.announce("fcn_follow: hero lost, searching", is_warning=True)

    def _publish(self, step: FollowerStep) -> None:
        """Publish state and request on change, and debug and markers while they have a subscriber."""
        if self._reported != (step.state, step.reason):
            self._reported = (step.state, step.reason)
            if not self._faults.text:
                text = f"{step.state.value}: {step.reason}"
                if step.fault and step.fault not in SETTLING:
                    self.get_logger().error(text)
                else:
                    self.get_logger().info(text)
            self._publish_state(step)
        if self._requested != step.request:
            self._requested = step.request
            self._requests.publish(String(data=step.request))
        if self._debug.get_subscription_count():
            self._debug.publish(diagnostics(self, OK, step.reason, explain(step)))
        if self._marker_publisher.get_subscription_count():
            header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._settings.odom_frame)
            if markers := self._markers.of(step, header, self._settings.hero.height_m):
                self._marker_publisher.publish(markers)

    def _publish_state(self, step: FollowerStep) -> None:
        self._states.publish(KeyValue(key=step.state.value, value=step.reason))

    def _report(self) -> None:
        step = self._step
        if step is None:
            return
        self._publish_state(step)
        quiet = step.state in (State.IDLE, State.TRACKING, State.COASTING)
        outside = self._faults.text
        is_error = self._faults.is_error or (step.fault and step.fault not in (outside, *SETTLING))
        level = ERROR if is_error else OK if quiet and not outside else WARN
        estimator = self._follower.estimator
        values = {
            "commands_hz": self._steps,
            "frames_hz": self._frames,
            "accepted": estimator.accepted,
            "outliers": estimator.outliers,
            "late": estimator.late,
            "heroes_confirmed": estimator.switched,
            **vars(self._follower.counters),
            **self._output.status(),
            **explain(step),
        }
        self._steps = self._frames = 0
        faults = f" ({outside})" if step.state is State.IDLE and outside else ""
        message = f"{step.state.value}: {step.reason}{faults}"
        self._diagnostics.publish(diagnostics(self, level, message, values))


def _seconds(message: PointStamped | PoseArray) -> float:
    stamp = message.header.stamp
    return float(stamp.sec + stamp.nanosec * 1e-9)
