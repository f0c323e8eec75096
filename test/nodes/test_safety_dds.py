"""The follower as a process, and what may come in over real DDS: each fault is zero, and is named while it lasts."""

from __future__ import annotations

import math
import time

import pytest
import rclpy
from diagnostic_msgs.msg import KeyValue
from follower_rig import BEST_EFFORT, LATCHED, FollowerRig, fly, moves
from geometry_msgs.msg import PointStamped, Pose, PoseArray, TwistStamped
from mavlink_vehicle import free_port
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from ros_tools import finish, interrupt, start_node, wait_until
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool, Trigger

from fcn_follow.errors import shown


def held_for(rig, text, show):
    """Whether the follower holds, says so, and commands zero, while `show` is called."""

    def is_so():
        return rig.state() == "holding" and text in rig.states[-1][1] and not moves(rig.commands[-1])

    assert wait_until(is_so, show), (text, rig.states[-5:])


def shifted(rig, **offsets):
    place = list(rig.place)
    for axis, metres in offsets.items():
        place["xyz".index(axis)] += metres
    rig.place = place


def test_odometry_that_lies_holds_and_is_named(rig, follower):
    follower()
    fly(rig, rig.show_odom)
    refused = "odometry is refused: "
    for text, changes in (
        (refused + "a position beyond", {"pose__pose__position__x": 1.7e308}),
        (refused + "values that are not finite", {"pose__pose__position__y": math.nan}),
        (refused + "an orientation that is no unit quaternion", {"pose__pose__orientation__w": math.inf}),
        (refused + "a speed above 40 m/s", {"twist__twist__linear__x": 1e6}),
        (refused + "a position with a standard deviation above", {"pose__covariance": [1e6] + [0.0] * 35}),
        (refused + "stamps are zero", {"header__stamp__sec": 0}),
        (refused + "stamps", {"header__stamp__sec": int(time.time()) - 10}),
    ):
        held_for(rig, text, lambda changes=changes: rig.show_odom(**changes))
        fly(rig, rig.show_odom)
    shifted(rig, x=30.0)
    held_for(rig, "odometry jumped by 30", rig.show_odom)
    fly(rig, rig.show_odom)
    rig.yaw += 2.0
    held_for(rig, "odometry's yaw jumped", rig.show_odom)
    fly(rig, rig.show_odom)
    place, yaw = list(rig.place), rig.yaw

    def disobedient():
        rig.show_odom(
            twist__twist__linear__x=0.0, twist__twist__linear__y=0.0, twist__twist__linear__z=0.0,
            twist__twist__angular__z=0.0,
        )  # fmt: skip
        rig.place, rig.yaw = list(place), yaw

    held_for(rig, "the drone does not do what is commanded", disobedient)


def test_odometry_that_is_bad_from_the_first_message_on_is_not_no_odometry(rig, follower):
    follower()
    assert wait_until(lambda: len(rig.commands) > 150, lambda: rig.show_odom(pose__pose__position__x=math.nan))
    assert not any(map(moves, rig.commands))
    assert rig.states[-1] == ("holding", "odometry is refused: values that are not finite")


def test_odometry_that_is_published_but_does_not_arrive_is_not_no_odometry(rig, follower):
    follower("-p", "reliability:=reliable")
    fly(rig)
    rig.odom = rig.node.create_publisher(Odometry, "odom", BEST_EFFORT)
    held_for(rig, "/odom has a publisher, but no messages arrive (is its QoS compatible?)", rig.show_odom)
    rig.node.destroy_publisher(rig.odom)
    fly(rig)


def test_a_reset_does_not_make_silent_odometry_no_odometry(rig, follower):
    follower()
    fly(rig, rig.show_odom)
    held_for(rig, "/odom has a publisher, but no messages arrive", rig.show_hero)
    assert rig.call(Trigger, "follower/reset", Trigger.Request()).success
    rig.commands.clear()
    assert wait_until(lambda: len(rig.commands) > 200, rig.show_hero)
    assert not any(map(moves, rig.commands))


def test_each_source_is_the_only_one(rig, follower):
    follower()
    fly(rig, rig.show_odom)
    for topic, kind, qos in (
        ("hero/centroid", PointStamped, 1),
        ("people/positions", PoseArray, 1),
        ("segmentation/state", KeyValue, LATCHED),
        ("odom", Odometry, 1),
        ("follow/state", KeyValue, LATCHED),
    ):
        first = None if topic in ("odom", "follow/state") else rig.node.create_publisher(kind, topic, qos)
        second = rig.node.create_publisher(kind, topic, qos)
        held_for(rig, f"2 publishers on /{topic}; stop all but one", rig.show_odom)
        for publisher in filter(None, (first, second)):
            rig.node.destroy_publisher(publisher)
        fly(rig, rig.show_odom)


def test_a_fault_that_the_segmenter_reports_stops_the_drone(rig, follower):
    follower()
    fly(rig)
    state = rig.node.create_publisher(KeyValue, "segmentation/state", LATCHED)
    state.publish(KeyValue(key="fault", value="2 publishers on /image_raw; stop all but one"))
    held_for(rig, "segmenter: 2 publishers on /image_raw", rig.show_hero)
    for key in ("Fault", "", "OK", "x" * 500):
        state.publish(KeyValue(key="fault", value="two cameras"))
        held_for(rig, "segmenter: two cameras", rig.show_hero)
        state.publish(KeyValue(key=key, value="the network hangs"))
        held_for(rig, f"segmenter: unknown state {shown(key)}: 'the network hangs'", rig.show_hero)
    state.publish(KeyValue(key="ok", value=""))
    fly(rig)
    state.publish(KeyValue(key="error", value=""))
    held_for(rig, "segmenter: unknown state 'error'", rig.show_hero)


def test_people_in_the_way_stop_the_drone(rig, follower):
    follower()
    people = rig.node.create_publisher(PoseArray, "people/positions", 1)

    def show(*places):
        rig.show_hero(x=0.0)
        message = PoseArray()
        message.header.stamp = rig.node.get_clock().now().to_msg()
        message.header.frame_id = "camera_optical_frame"
        for place in places:
            pose = Pose()
            pose.position.x, pose.position.y, pose.position.z = place
            message.poses.append(pose)
        people.publish(message)

    far, near = (0.0, 0.5, 6.0), (0.0, 0.5, 1.5)
    fly(rig, lambda: show(far))
    assert wait_until(lambda: rig.commands[-1].twist.linear.x > 1.0, lambda: show(far)), "the hero is 8 m away"
    assert wait_until(lambda: rig.commands[-1].twist.linear.x <= 1e-6, lambda: show(near))
    rig.commands.clear()
    assert wait_until(lambda: len(rig.commands) > 30, lambda: show(near))
    assert max(command.twist.linear.x for command in rig.commands) <= 1e-6
    assert rig.state() == "tracking"
    fly(rig, lambda: show(far))
    assert wait_until(lambda: rig.commands[-1].twist.linear.x > 1.0, lambda: show(far))
    crowd = [(0.0, 0.5, 100.0 + number) for number in range(300)]
    stopped = wait_until(lambda: rig.commands[-1].twist.linear.x <= 1e-6, lambda: show(*crowd, near))
    assert stopped and rig.state() == "tracking", "the nearest of many is in the way wherever the message has them"
    text = "other people are refused: positions that are not finite"
    held_for(rig, text, lambda: show(*crowd, (math.nan, 0.0, 0.0)))
    fly(rig, lambda: show(far))
    held_for(rig, text, lambda: show(far, (math.nan, 0.0, 0.0)))
    fly(rig, lambda: show(far))
    flood = [(0.0, 0.5, 100.0)] * 1200
    held_for(rig, "other people are refused: a message is longer", lambda: show(*flood))
    fly(rig, lambda: show(far))


def test_positions_that_are_refused_are_named(rig, follower):
    follower("-p", "camera_frame:=camera_optical_frame")
    for text, changes in (
        ("refused: positions that are not finite", {"x": math.nan}),
        ("refused: positions nearer than 0.3 m", {"x": 0.0, "y": 0.0, "z": 0.05}),
        ("refused: positions behind the camera", {"z": -3.0}),
        ("refused: hero positions whose stamps are 3.0 s old: clocks not synchronised?", {"age_s": 3.0}),
        ("refused: hero positions whose stamps are 0.3 s ahead of the clock: clocks not sync", {"age_s": -0.3}),
        ("refused: hero positions whose stamps are zero: does the driver not set them?", {"is_unstamped": True}),
        ("in frame 'wing' instead of 'camera_optical_frame'", {"frame_id": "wing"}),
    ):
        held_for(rig, text, lambda changes=changes: rig.show_hero(**changes))
    fly(rig)


def test_one_early_position_in_a_wrong_frame_locks_nobody_out(rig, follower):
    follower()
    assert wait_until(lambda: len(rig.commands) > 5, rig.spin)
    rig.show_hero(frame_id="early")
    held_for(rig, "instead of 'early'", rig.show_hero)
    fly(rig)
    frames = ("camera_optical_frame", "wing")

    def two_frames():
        rig.show_hero(frame_id=frames[len(rig.stamps_sent) % 2])

    held_for(rig, "in frame 'wing'", two_frames)
    fly(rig)
    rig.spin_for(1.2)
    fly(rig)
    later_s = time.monotonic() + 3.0

    def wrong_for_good():
        rig.show_hero(frame_id="wing")

    held_for(rig, "in frame 'wing'", wrong_for_good)
    assert wait_until(lambda: time.monotonic() > later_s, wrong_for_good)
    held_for(rig, "in frame 'wing'", wrong_for_good)
    client = rig.node.create_client(Trigger, "follower/reset")
    assert client.wait_for_service(10.0)
    future = client.call_async(Trigger.Request())
    assert wait_until(future.done, wrong_for_good)
    fly(rig, wrong_for_good)


def test_a_frozen_picture_stops_the_drone(rig, follower):
    follower()
    fly(rig)

    def frozen():
        rig.show_hero(z=8.0 - 1e-6 * len(rig.stamps_sent))

    held_for(rig, "the picture is frozen", frozen)
    fly(rig)


def test_a_second_follower_does_not_start_and_the_first_flies_on(rig, follower, domain_id):
    first = follower()
    fly(rig)
    second = start_node("follower", domain_id, "-r", "__node:=other", "-p", "start_enabled:=true")
    rig.commands.clear()
    assert wait_until(lambda: second.poll() is not None, rig.show_hero)
    output = finish(second)
    assert second.returncode == 1
    assert "/follower publishes /cmd_vel already" in output
    assert len(output.strip().splitlines()) == 1, output
    assert rig.state() == "tracking"
    assert all(map(moves, rig.commands))
    interrupt(first)


@pytest.mark.parametrize("where", [[], ["-r", "__ns:=/drone1"]], ids=["one namespace", "another namespace"])
def test_a_second_follower_of_an_autopilot_by_mavlink_does_not_start_in_the_same_namespace(domain_id, where):
    """It has no topic of commands that could show it."""
    ports = [free_port(), free_port()]
    arguments = [["-p", "output:=mavlink", "-p", f"mavlink.address:=udpin:127.0.0.1:{port}"] for port in ports]
    first = start_node("follower", domain_id, *arguments[0])
    assert "commands go to mavlink" in first.stdout.readline()
    second = start_node("follower", domain_id, *arguments[1], *where)
    line = second.stdout.readline()
    if where:
        assert "commands go to mavlink" in line, "it is another drone's"
        interrupt(second)
    else:
        assert "/follower publishes /follow/state already" in line
        assert finish(second) == "" and second.returncode == 1
    interrupt(first)


def test_a_follower_starts_although_one_was_killed_just_before(domain_id):
    arguments = ("-p", "output:=mavlink", "-p", f"mavlink.address:=udpin:127.0.0.1:{free_port()}")
    first = start_node("follower", domain_id, *arguments)
    assert "commands go to mavlink" in first.stdout.readline()
    first.kill()
    finish(first)
    second = start_node("follower", domain_id, *arguments)
    assert "commands go to mavlink" in second.stdout.readline()
    time.sleep(1.0)
    assert "publishers" not in interrupt(second)


def test_commands_that_nobody_takes_are_zero(ros, follower):
    rig = FollowerRig()
    rig.node.destroy_subscription(next(each for each in rig.node.subscriptions if each.topic_name == "/cmd_vel"))
    follower()
    assert wait_until(lambda: bool(rig.states) and "no subscriber on /cmd_vel" in rig.states[-1][1], rig.show_hero)
    rig.node.create_subscription(TwistStamped, "cmd_vel", rig.commands.append, 50)
    fly(rig)
    growth = [twist.twist.linear.x for twist in rig.commands if moves(twist)]
    assert growth[0] < 0.5, "it begins with the ramp"


def test_a_flood_does_not_keep_the_switch_from_working(rig, follower):
    follower()
    fly(rig)
    flood = rig.node.create_publisher(PointStamped, "hero/centroid", QoSProfile(depth=1))
    client = rig.node.create_client(SetBool, "follower/enable")
    assert client.wait_for_service(10.0)
    future = client.call_async(SetBool.Request(data=False))

    def many():
        for _ in range(200):
            message = PointStamped()
            message.header.stamp = rig.node.get_clock().now().to_msg()
            flood.publish(message)
        rig.show_hero()

    began_s = time.monotonic()
    assert wait_until(future.done, many)
    print(f"~/enable answered after {time.monotonic() - began_s:.3f} s under the flood")
    assert future.result().success
    assert wait_until(lambda: rig.state() == "idle" and not moves(rig.commands[-1]), many)


def test_a_clock_at_ten_times_its_speed_gives_no_more_acceleration(rig, follower):
    follower("-p", "use_sim_time:=true")
    clock = rig.node.create_publisher(Clock, "/clock", 1)
    begun_s, speeds = time.monotonic(), []
    first_s = None

    def show():
        nonlocal first_s
        ten_times = rclpy.time.Time(nanoseconds=int((100.0 + 10.0 * (time.monotonic() - begun_s)) * 1e9)).to_msg()
        clock.publish(Clock(clock=ten_times))
        if time.monotonic() - rig.last_hero >= 0.02:
            rig.last_hero = time.monotonic()
            message = PointStamped()
            message.header.stamp, message.header.frame_id = ten_times, "camera_optical_frame"
            message.point.y, message.point.z = 1.5, 30.0 + 1e-6 * len(speeds)
            rig.hero.publish(message)
        before_s = time.monotonic()
        rig.spin()
        if rig.commands and moves(rig.commands[-1]):
            first_s = first_s or before_s - 0.1
            speeds.append((time.monotonic() - first_s, rig.commands[-1].twist.linear.x))

    assert wait_until(lambda: bool(speeds) and speeds[-1][1] > 3.0, show)
    assert all(speed <= 4.0 * 1.05 * elapsed_s for elapsed_s, speed in speeds)
