"""The simulator node: a drone with a camera in the simulated town, flown by cmd_vel or by another simulator.

Out: image_raw (rgb8), camera_info, odom, ground_truth/label_mask (mono8), ground_truth/hero (PointStamped: the middle
of the hero's body in the camera's optical frame, at the image's stamp), /clock when asked. In: cmd_vel. With a
vehicle other than `internal` it publishes no odom, and the vehicle's pose, by MAVLink or on odom, moves the drone.
For its report it subscribes to segmentation/label_mask and follow/state as well.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import PointStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.clock import Clock as SteadyClock
from rclpy.clock import ClockType
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from fcn_follow.autopilots.output import make_output
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.errors import UserError
from fcn_follow.geometry import VehicleState, VelocityCommand
from fcn_follow.images.messages import MessageError, fill_camera_info, fill_image, image_to_rgb
from fcn_follow.nodes.support import status
from fcn_follow.nodes.support.autopilot_host import NodeHost
from fcn_follow.nodes.support.odometry_message import vehicle_state
from fcn_follow.nodes.support.parameters import ParameterNode
from fcn_follow.nodes.support.simulator_parameters import SimulatorParameters
from fcn_follow.nodes.support.spinning import Finished
from fcn_follow.simulation.drone import body_velocity_m_s
from fcn_follow.simulation.episode import CameraSetup, Episode, Frame
from fcn_follow.simulation.live_log import LiveLog
from fcn_follow.simulation.outside_drone import OutsideDrone
from fcn_follow.simulation.scenarios import find_scenario

STEP_S = 0.01
ODOMETRY_STEPS = 2
BEHIND_S, BEHIND_AT_FRAME_S = 0.1, 0.01
"""With a larger delay the simulator slows its clock instead of catching up, so that no frame is taken late."""
KEPT_STAMPS = 100
MAX_COMMANDS = MAX_STATES = 1000
"""Messages kept per step, because any node may flood the topic."""
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class SimulatorNode(ParameterNode):
    """Advances an Episode in real time and wires it to topics; all rendering happens in one thread."""

    def __init__(self) -> None:
        super().__init__("simulator")
        self._settings = settings = self.declare(SimulatorParameters())
        self._scenario = find_scenario(settings.scenario)
        self._camera = CameraSetup(
            settings.width_px,
            settings.height_px,
            math.radians(settings.horizontal_fov_deg),
            settings.camera.mount,
            settings.camera.stabilised,
            latency_s=0.0,  # drawing takes its place
        )
        qos = QoSProfile(depth=5)
        self._image_publisher = self.create_publisher(Image, "image_raw", qos)
        self._camera_publisher = self.create_publisher(CameraInfo, "camera_info", qos)
        self._mask_publisher = self.create_publisher(Image, "ground_truth/label_mask", qos)
        self._hero_publisher = self.create_publisher(PointStamped, "ground_truth/hero", qos)
        self._odom_publisher = self._autopilot = None
        if settings.vehicle == "internal":
            self._odom_publisher = self.create_publisher(Odometry, "odom", qos)
        elif settings.clock:
            raise UserError(f"parameter clock: vehicle {settings.vehicle} has a clock of its own; leave it false")
        elif settings.vehicle == "mavlink":
            parameters = OutputParameters(output="mavlink", mavlink=settings.mavlink)
            self._autopilot = make_output(NodeHost(self), parameters)  # only its poses are used
        self._clock_publisher = self.create_publisher(Clock, "/clock", 1) if settings.clock else None
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        kind = Twist if settings.cmd_vel_type == "twist" else TwistStamped
        command = self.create_subscription(kind, "cmd_vel", self._on_command, 10)
        self._command_topic = command.topic_name
        self._lock = threading.Lock()
        self._commands: list[tuple[float, VelocityCommand]] = []
        self._states: deque[VehicleState] = deque(maxlen=MAX_STATES)
        self._vehicle_fault = ""
        if settings.vehicle == "odom":
            self.create_subscription(Odometry, "odom", lambda message: self._states.append(vehicle_state(message)), 10)
        self._state = "idle"
        self._looks: list[tuple[float, float, Any]] = []
        self._taken_s: dict[tuple[int, int], float] = {}
        """The episode's time of each published frame, by its stamp; stamps shift when the clock is slowed."""
        if settings.report:
            self.create_subscription(Image, "segmentation/label_mask", self._on_mask, 5)
            self.create_subscription(KeyValue, "follow/state", self._on_state, LATCHED)
        self._rates = status.RollingFigures()
        self._slowed = False
        self._now_s = 0.0
        self._origin_ns = self._begin_ns = 0
        self._stopping = threading.Event()
        self._ended = False
        self._failure: Exception | None = None
        steady = SteadyClock(clock_type=ClockType.STEADY_TIME)  # this node's own /clock stops earlier
        self.create_timer(0.1, self._check_end, clock=steady)
        self.create_timer(1.0, self._on_second, clock=steady)
        self._thread = threading.Thread(target=self._work, name="simulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it writes the report first."""
        self._stopping.set()
        self._thread.join(timeout=60.0)
        if self._autopilot is not None:
            self._autopilot.close()

    def _work(self) -> None:
        try:
            with Episode(
                self._scenario,
                self._settings.seed,
                self._camera,
                on_picture=self._publish_picture,
                flown_outside=self._settings.vehicle != "internal",
            ) as episode:
                folder = Path(self._settings.report).expanduser()
                log = LiveLog(episode, self._settings.seed, folder) if self._settings.report else None
                self.get_logger().info(f"ready: {self._scenario.name}, seed {self._settings.seed}")
                self._wait_for_nodes()
                try:
                    self._run(episode, log)
                finally:
                    page = log.write(episode.contact()) if log is not None else None
                    if page is not None:
                        self.get_logger().info(f"report: {page}")
        except Exception as error:
            self._failure = error
        finally:
            self._ended = True

    def _wait_for_nodes(self) -> None:
        give_up_s = time.monotonic() + self._settings.wait_s
        while time.monotonic() < give_up_s and not self._stopping.wait(0.05):
            commanded = self._settings.vehicle != "internal" or self.count_publishers(self._command_topic)
            if self._image_publisher.get_subscription_count() and commanded:
                return

    def _run(self, episode: Episode, log: LiveLog | None) -> None:
        """One step each STEP_S; `begun_s` is the machine's time at the episode's time 0."""
        begun_s = time.monotonic()
        with self._lock:
            self._origin_ns = self._begin_ns = 0 if self._settings.clock else self.get_clock().now().nanoseconds
            self._commands = []  # their stamps are of before the flight
        while not self._stopping.is_set():
            with self._lock:
                commands, self._commands = self._commands, []
                looks, self._looks = self._looks, []
            if commands:
                episode.command(commands[-1][1])
            if isinstance(episode.drone, OutsideDrone):
                self._move(episode.drone, episode.now_s)
            frames = episode.advance(episode.now_s + STEP_S)
            self._now_s = episode.now_s
            self._publish(episode, frames)
            if log is not None:
                slowed_s = (self._origin_ns - self._begin_ns) * 1e-9
                log.add(frames, looks, commands, self._state, episode.now_s + slowed_s)
            contact = episode.contact()
            if contact:
                self.get_logger().error(f"the drone touched {contact}: the flight ends")
                return
            if 0 < self._settings.duration_s <= episode.now_s:
                return
            behind_s = time.monotonic() - begun_s - episode.now_s
            if behind_s > (BEHIND_AT_FRAME_S if episode.frame_is_due else BEHIND_S):
                begun_s += behind_s
                self._slow(behind_s)
            elif behind_s < 0:
                self._stopping.wait(-behind_s)
            self._rates.add(time.monotonic(), behind_s)

    def _move(self, drone: OutsideDrone, now_s: float) -> None:
        """Move the drone to the vehicle's place now, and take the stamps from the vehicle's clock."""
        clock_ns = self.get_clock().now().nanoseconds
        self._origin_ns = clock_ns - round(now_s * 1e9)
        states = self._autopilot.take_poses() if self._autopilot is not None else _taken(self._states)
        for state in states:
            drone.take(state, clock_ns * 1e-9)
        fault = drone.move_to(clock_ns * 1e-9)
        if fault != self._vehicle_fault:
            self._vehicle_fault = fault
            self.get_logger().warning(f"no pictures: {fault}") if fault else self.get_logger().info("pictures again")

    def _slow(self, behind_s: float) -> None:
        """Stop the clock for as long as the machine is behind."""
        if not self._settings.clock:
            self._origin_ns += int(behind_s * 1e9)
        self._slowed = True
        self.get_logger().warning(
            "this machine is too slow for the simulation: its time runs slower", throttle_duration_sec=10.0
        )

    def _stamp(self, now_s: float) -> Time:
        nanoseconds = self._origin_ns + round(now_s * 1e9)
        return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)

    def _publish(self, episode: Episode, frames: list[Frame]) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=self._stamp(episode.now_s)))
        if self._odom_publisher is not None and round(episode.now_s / STEP_S) % ODOMETRY_STEPS == 0:
            self._odom_publisher.publish(self._odometry(episode))
        for frame in frames:
            if not episode.arrives_at_once:
                self._publish_picture(frame.stamp_s, frame.rgb)
            header = self._header(frame.stamp_s)
            hero = PointStamped(header=header)
            hero.point.x, hero.point.y, hero.point.z = frame.hero.position_camera_m
            self._hero_publisher.publish(hero)
            self._mask_publisher.publish(fill_image(Image(header=header), frame.labels))

    def _publish_picture(self, stamp_s: float, rgb: NDArray[np.uint8]) -> None:
        header = self._header(stamp_s)
        with self._lock:
            self._taken_s[header.stamp.sec, header.stamp.nanosec] = stamp_s
            while len(self._taken_s) > KEPT_STAMPS:
                del self._taken_s[next(iter(self._taken_s))]
        self._camera_publisher.publish(fill_camera_info(CameraInfo(header=header), self._camera.intrinsics))
        self._image_publisher.publish(fill_image(Image(header=header), rgb))

    def _header(self, stamp_s: float) -> Header:
        """The header of the messages of a frame."""
        return Header(stamp=self._stamp(stamp_s), frame_id=self._settings.frame_id)

    def _odometry(self, episode: Episode) -> Odometry:
        state = episode.odometry()
        message = Odometry()
        message.header.stamp = self._stamp(state.stamp_s)
        message.header.frame_id, message.child_frame_id = "odom", "base_link"
        position, orientation = message.pose.pose.position, message.pose.pose.orientation
        position.x, position.y, position.z = state.position_odom_m
        orientation.x, orientation.y, orientation.z, orientation.w = state.orientation_odom_xyzw
        twist = message.twist.twist
        twist.linear.x, twist.linear.y, twist.linear.z = body_velocity_m_s(state)
        twist.angular.z = state.yaw_rate_rad_s
        return message

    def _on_command(self, message: Any) -> None:
        twist = message.twist if isinstance(message, TwistStamped) else message
        command = VelocityCommand(twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.z)
        with self._lock:  # also for the origin, which a new flight changes together with the commands
            stamp_s = self._now_s + (self._origin_ns - self._begin_ns) * 1e-9
            if isinstance(message, TwistStamped):
                stamp = message.header.stamp
                stamp_s = (stamp.sec * 10**9 + stamp.nanosec - self._begin_ns) * 1e-9
            self._commands = [*self._commands[-MAX_COMMANDS:], (stamp_s, command)]

    def _on_mask(self, message: Image) -> None:
        stamp = message.header.stamp
        try:
            labels = image_to_rgb(message)[..., 0]
        except MessageError as error:
            self.get_logger().warning(f"a label mask was dropped: {error}", throttle_duration_sec=1.0)
            return
        with self._lock:
            taken_s = self._taken_s.get((stamp.sec, stamp.nanosec))
            if taken_s is not None:
                self._looks.append((taken_s, self._now_s, labels))

    def _on_state(self, message: KeyValue) -> None:
        self._state = message.key

    def _check_end(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise Finished

    def _on_second(self) -> None:
        rate = self._rates.rate_hz(time.monotonic()) * STEP_S
        level = status.WARN if self._slowed or self._vehicle_fault else status.OK
        summary = "its clock runs slower than real time" if self._slowed else "flying"
        summary = f"no pictures: {self._vehicle_fault}" if self._vehicle_fault else summary
        values = {"speed": rate, "time_s": self._now_s, "scenario": self._scenario.name}
        self._slowed = False
        self._diagnostics_publisher.publish(status.diagnostics(self, level, summary, values))


def _taken(states: deque[VehicleState]) -> Iterator[VehicleState]:
    """The states that have arrived, oldest first."""
    for _ in range(len(states)):  # not the ones that a flood adds meanwhile
        yield states.popleft()
