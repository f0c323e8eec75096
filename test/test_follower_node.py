"""The follower as a process over real DDS: it follows, and it stops whenever it should."""

from __future__ import annotations

import math
import time

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import PointStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from ros_tools import finish, interrupt, start_node, wait_until
from std_srvs.srv import SetBool

from fcn_follow.following.frames import rotated
from fcn_follow.geometry import ZERO_COMMAND

BEST_EFFORT = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Around:
    """What stands around the follower: a hero ahead and to the left, a drone that obeys, ears for all it says.

    The hero stays at one place of the picture but for the last digits, as if it moved with the drone.
    """

    def __init__(self, cmd_vel_type=TwistStamped):
        self.node = rclpy.create_node("around")
        self.hero = self.node.create_publisher(PointStamped, "hero/position", 1)
        self.odom = self.node.create_publisher(Odometry, "odom", 1)
        self.commands = []
        self.states = []
        self.stamps_sent = []
        self.place, self.yaw, self.moved_s = [0.0, 0.0, 3.0], 0.0, time.monotonic()
        self.node.create_subscription(cmd_vel_type, "cmd_vel", self.commands.append, 50)
        self.node.create_subscription(KeyValue, "follow/state", lambda m: self.states.append((m.key, m.value)), LATCHED)
        self.last_hero = 0.0

    def spin(self):
        rclpy.spin_once(self.node, timeout_sec=0.005)

    def spin_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.spin()

    def show_hero(self, x=-2.0, y=1.5, z=8.0, age_s=0.0, frame_id="camera_optical_frame"):
        """At 20 Hz; to be called as often as one likes."""
        if time.monotonic() - self.last_hero >= 0.05:
            self.last_hero = time.monotonic()
            message = PointStamped()
            stamp = self.node.get_clock().now() - rclpy.duration.Duration(seconds=age_s)
            message.header.stamp = stamp.to_msg()
            message.header.frame_id = frame_id
            message.point.x, message.point.y, message.point.z = x, y, z + 1e-6 * len(self.stamps_sent)
            self.stamps_sent.append((message.header.stamp.sec, message.header.stamp.nanosec))
            self.hero.publish(message)
        self.spin()

    def move(self):
        """Fly what is commanded."""
        dt_s, self.moved_s = time.monotonic() - self.moved_s, time.monotonic()
        twist = twist_of(self.commands[-1]) if self.commands else Twist()
        in_map = (
            bool(self.commands)
            and getattr(self.commands[-1], "header", None)
            and self.commands[-1].header.frame_id == "map"
        )
        vx, vy = rotated(twist.linear.x, twist.linear.y, 0.0 if in_map else self.yaw)
        for axis, speed in enumerate((vx, vy, twist.linear.z)):
            self.place[axis] += speed * dt_s
        self.yaw += twist.angular.z * dt_s
        return twist

    def show_odom(self, frame_id="odom", **changes):
        """The drone's odometry, with some fields of pose or twist replaced, and the hero; as often as one likes."""
        twist = self.move()
        message = Odometry()
        message.header.stamp = self.node.get_clock().now().to_msg()
        message.header.frame_id = frame_id
        pose = message.pose.pose
        pose.position.x, pose.position.y, pose.position.z = self.place
        pose.orientation.z, pose.orientation.w = math.sin(self.yaw / 2), math.cos(self.yaw / 2)
        message.twist.twist = twist
        for path, value in changes.items():
            *parents, name = path.split("__")
            holder = message
            for parent in parents:
                holder = getattr(holder, parent)
            setattr(holder, name, value)
        self.odom.publish(message)
        self.show_hero()

    def state(self):
        return self.states[-1][0] if self.states else ""

    def call(self, service_type, name, request):
        client = self.node.create_client(service_type, name)
        assert client.wait_for_service(10.0)
        future = client.call_async(request)
        assert wait_until(future.done, self.show_hero, 10.0)
        return future.result()


def twist_of(message):
    return message.twist if isinstance(message, TwistStamped) else message


def moves(message):
    twist = twist_of(message)
    return any((twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.z))


@pytest.fixture
def around(ros):
    return Around()


@pytest.fixture
def follower(domain_id):
    processes = []

    def start(*arguments):
        processes.append(start_node("follower", domain_id, "-p", "start_enabled:=true", *arguments))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def fly(around, show=None):
    show = show or around.show_hero
    assert wait_until(lambda: around.state() == "tracking" and around.commands and moves(around.commands[-1]), show)


def test_follows_then_stops_on_ctrl_c(around, follower):
    process = follower()
    fly(around)
    around.commands.clear()
    assert wait_until(lambda: len(around.commands) > 40, around.show_hero)
    command = around.commands[-1]
    assert command.header.frame_id == "base_link"
    stamps = [rclpy.time.Time.from_msg(each.header.stamp).nanoseconds for each in around.commands]
    assert stamps == sorted(stamps)
    assert 0 <= around.node.get_clock().now().nanoseconds - stamps[-1] < 1e9, "commands are stamped now"
    assert command.twist.linear.x > 0.0, "the hero is 8 m away, 5 m are wanted"
    assert command.twist.angular.z > 0.0, "the hero is on the left"
    output = interrupt(process)
    around.spin_for(0.3)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert not moves(around.commands[-1])


def test_no_frames_and_disabling_are_zero(around, follower):
    follower("-p", "timeouts.camera_s:=0.8")
    fly(around)
    assert wait_until(lambda: around.state() == "holding", around.spin, 10.0), around.states
    around.commands.clear()
    around.spin_for(0.3)
    assert around.commands and not any(map(moves, around.commands)), "zero commands are sent while holding"

    fly(around)
    assert around.call(SetBool, "follower/enable", SetBool.Request(data=False)).success
    assert wait_until(lambda: around.state() == "idle", around.show_hero)
    around.spin_for(0.1)
    around.commands.clear()
    assert wait_until(lambda: len(around.commands) > 20, around.show_hero)
    assert not any(map(moves, around.commands))
    assert around.call(SetBool, "follower/enable", SetBool.Request(data=True)).success
    fly(around)


def test_nan_old_and_foreign_positions_move_nothing(around, follower):
    follower("-p", "camera_frame:=camera_optical_frame")

    def show_bad():
        kinds = [{"x": math.nan}, {"z": math.inf}, {"age_s": 5.0}, {"age_s": -5.0}, {"frame_id": "wing"}, {"z": -3.0}]
        around.show_hero(**kinds[len(around.stamps_sent) % len(kinds)])

    assert wait_until(lambda: len(around.commands) > 100, show_bad)
    assert not any(map(moves, around.commands))
    assert around.state() == "holding"


def test_two_publishers_and_wrong_odom_hold(around, follower):
    process = follower()
    fly(around)
    second = around.node.create_publisher(PointStamped, "hero/position", 1)
    assert wait_until(lambda: around.state() == "holding" and not moves(around.commands[-1]), around.show_hero)
    assert "2 publishers on /hero/position" in around.states[-1][1]
    around.node.destroy_publisher(second)
    fly(around)
    second = around.node.create_publisher(TwistStamped, "cmd_vel", 1)
    assert wait_until(lambda: around.state() == "holding" and not moves(around.commands[-1]), around.show_hero)
    assert "2 publishers on /cmd_vel" in around.states[-1][1]
    around.node.destroy_publisher(second)
    fly(around)

    assert wait_until(lambda: around.state() == "holding", lambda: around.show_odom("map"))
    assert "frame 'map'" in around.states[-1][1]
    fly(around, lambda: around.show_odom("drone/odom"))
    assert wait_until(lambda: around.state() == "holding", around.show_hero), "odom has stopped"
    assert "odometry is stale" in around.states[-1][1], around.states
    output = interrupt(process)
    assert output.count("frame 'map'") <= 2, "said when it begins and when it ends"


def test_live_parameters_are_all_or_nothing(around, follower):
    follower()
    fly(around)

    def set_values(**values):
        parameters = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        request = SetParameters.Request(parameters=[each.to_parameter_msg() for each in parameters])
        return around.call(SetParameters, "follower/set_parameters", request).results

    assert set_values(set_points__distance_m=9.0)[0].successful
    assert wait_until(lambda: around.commands[-1].twist.linear.x < -0.1, around.show_hero), "it backs off to 9 m"
    refused = set_values(limits__minimum_distance_m=12.0)[0]
    assert not refused.successful
    assert "below set_points.distance_m" in refused.reason


def test_debug_topic_explains(around, follower):
    follower()
    seen = []
    around.node.create_subscription(DiagnosticArray, "follow/debug", seen.append, 10)
    fly(around)
    assert wait_until(lambda: bool(seen), around.show_hero)
    values = {each.key: each.value for each in seen[-1].status[0].values}
    assert {"state", "wanted_forward_m_s", "command_forward_m_s", "limited_by"} <= set(values)


def test_plain_twist_and_waiting_for_enable(ros, follower):
    around = Around(Twist)
    follower("-p", "cmd_vel.type:=twist", "-p", "start_enabled:=false")
    assert wait_until(lambda: len(around.commands) > 50, around.show_hero)
    assert not any(map(moves, around.commands))
    around.call(SetBool, "follower/enable", SetBool.Request(data=True))
    fly(around)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "limits.speed:=3.0"], "unknown parameter limits.speed"),
        (["-p", "limits.speed_m_s:=300.0"], "0.1 to 20 m/s"),
        (["-p", "limits.minimum_distance_m:=8.0"], "must be below set_points.distance_m"),
        (["-p", "timeouts.coast_s:=0.3"], "timeouts.tracking_s (0.6) must be below timeouts.coast_s"),
        (["-p", "output:=px4"], "px4_msgs"),
        (["--params-file", "typo.yaml"], "unknown parameter limits.sped_m_s; did you mean limits.speed_m_s?"),
    ],
)
def test_impossible_parameters_are_one_line(domain_id, tmp_path, arguments, complaint):
    if "typo.yaml" in arguments:
        path = tmp_path / "typo.yaml"
        path.write_text("/**:\n  ros__parameters:\n    limits:\n      sped_m_s: 3.0\n")
        arguments = ["--params-file", str(path)]
    process = start_node("follower", domain_id, *arguments)
    output = finish(process)
    errors = [line for line in output.splitlines() if line.strip()]
    assert process.returncode == 1
    assert len(errors) == 1, output
    assert complaint in errors[0]


@pytest.mark.parametrize(
    ("output", "topic"), [("ardupilot_dds", "ap/cmd_vel"), ("mavros", "mavros/setpoint_velocity/cmd_vel")]
)
def test_outputs_on_topics(around, follower, output, topic):
    around.node.create_subscription(TwistStamped, topic, around.commands.append, BEST_EFFORT)
    process = follower("-p", f"output:={output}")
    fly(around)
    assert around.commands[-1].header.frame_id == "base_link"
    assert around.commands[-1].twist.angular.z > 0.0
    interrupt(process)
    around.spin_for(0.3)
    assert not moves(around.commands[-1])


def test_east_north_up_needs_odom(around, follower):
    around.node.create_subscription(TwistStamped, "mavros/setpoint_velocity/cmd_vel", around.commands.append, 10)
    follower("-p", "output:=mavros", "-p", "mavros.frame:=map")
    assert wait_until(lambda: len(around.commands) > 60, around.show_hero)
    assert not any(map(moves, around.commands))
    assert around.states[-1] == ("holding", "output mavros in frame map needs odom")

    around.yaw = math.pi / 2
    fly(around, around.show_odom)
    commands = around.commands
    assert wait_until(lambda: moves(commands[-1]) and commands[-1].header.frame_id == "map", around.show_odom)
    assert wait_until(lambda: commands[-1].twist.linear.y > 0.3, around.show_odom), "ahead is north"


def test_a_clock_that_stands_still_is_a_fault(around, follower):
    follower("-p", "use_sim_time:=true")
    assert wait_until(lambda: len(around.commands) > 80, around.show_hero)
    assert not any(map(moves, around.commands))
    assert "clock stands still" in around.states[-1][1]


def test_an_exception_in_the_loop_is_zero(ros, monkeypatch):
    from fcn_follow.nodes.follower import FollowerNode

    node = FollowerNode()
    sent = []
    monkeypatch.setattr(node._output, "send", lambda command, *_: sent.append(command))
    monkeypatch.setattr(node._follower, "step", lambda *_: 1 / 0)
    node._loop()
    node._guarded(lambda: [][1])()
    node.stop()
    node.destroy_node()
    assert len(sent) > 2
    assert set(sent) == {ZERO_COMMAND}
