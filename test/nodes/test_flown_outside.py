"""The simulator as the camera of a vehicle that something else flies: over MAVLink the whole loop, and by odometry."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import KeyValue
from geometry_msgs.msg import PointStamped
from mavlink_vehicle import Vehicle, free_port
from nav_msgs.msg import Odometry
from ros_tools import ROOT, finish, interrupt, parameter_arguments, start_node, wait_until
from sensor_msgs.msg import Image

from fcn_follow.coordinates import quaternion_xyzw

FILES = [
    part
    for name in ("follow", "simulator", "simulator_mavlink")
    for part in ("--params-file", str(ROOT / "config" / f"{name}.yaml"))
]
WALK_M = 12.0


def test_the_whole_loop_flies_a_vehicle_of_mavlink(ros, domain_id):
    """Picture, segmenter, follower, MAVLink, the vehicle's own flight, its pose by MAVLink, and the next picture.

    It is so low that the hero waits until the follower has seen the hero and climbs.
    """
    ports = free_port(), free_port()
    vehicle = Vehicle(f"udpout:127.0.0.1:{ports[0]}", height_m=0.6, heading_rad=-2.0)
    vehicle.also_send_to(ports[1])
    vehicle.node.destroy_publisher(vehicle.hero)  # the segmenter's place
    heroes: list[tuple[float, PointStamped]] = []
    pictures: list[float] = []
    states: list[str] = []
    subscribe = vehicle.node.create_subscription
    subscribe(PointStamped, "ground_truth/hero", lambda m: heroes.append((time.monotonic(), m)), 5)
    subscribe(Image, "image_raw", lambda _: pictures.append(time.monotonic()), 5)
    subscribe(KeyValue, "follow/state", lambda m: states.append(m.key), 5)
    simulator = start_node(
        "simulator",
        domain_id,
        *FILES,
        *parameter_arguments({"scenario": "straight", "mavlink.address": f"udpin:127.0.0.1:{ports[1]}"}),
    )
    segmenter = start_node("segmenter", domain_id, *FILES, "-p", "engine:=openvino")
    follower = start_node(
        "follower",
        domain_id,
        *FILES,
        *parameter_arguments({"start_enabled": "true", "mavlink.address": f"udpin:127.0.0.1:{ports[0]}"}),
    )
    begin_m = vehicle.place_m.copy()

    def follows() -> bool:
        """Whether it has come far and is where it should be; on a busy machine it waits at times, and catches up."""
        away_m = [math.hypot(hero.point.x, hero.point.z) for _, hero in heroes[-20:]]
        return math.dist(vehicle.place_m, begin_m) > WALK_M and abs(np.mean(away_m) - 5.0) < 0.7 > np.std(away_m)

    try:
        moved = wait_until(follows, vehicle.live, 120.0)
        vehicle.sends_poses = False
        silent_s = time.monotonic()
        stopped = wait_until(lambda: time.monotonic() - max(pictures[-1], silent_s) > 1.5, vehicle.live)
        count = len(pictures)
        vehicle.sends_poses = True
        again = wait_until(lambda: len(pictures) > count + 5, vehicle.live)
    finally:
        output = interrupt(simulator, 60.0) + interrupt(segmenter) + interrupt(follower)
    assert moved, output
    assert stopped and again, output
    assert "no pictures: odometry" in output, "the simulator says why it shows nothing"
    flown = [hero.point for arrived_s, hero in heroes if arrived_s < silent_s]
    away_m = np.array([math.hypot(point.x, point.z) for point in flown])
    off_axis_rad = np.array([math.atan2(point.x, point.z) for point in flown])
    print(f"distance {away_m.mean():.2f} m, {away_m.std():.2f} m; off the axis {np.abs(off_axis_rad).max():.2f} rad")
    assert away_m.min() > 3.0
    assert np.abs(off_axis_rad).max() < math.radians(35.0), "the hero stays in the picture"
    assert states[-1] in ("tracking", "holding")
    assert "Traceback" not in output
    for process in (simulator, segmenter, follower):
        assert process.returncode == 0, output


@pytest.mark.usefixtures("ros")
def test_odometry_moves_the_camera_and_nonsense_does_not(domain_id):
    import rclpy

    node = rclpy.create_node("vehicle")
    heroes: list[PointStamped] = []
    node.create_subscription(PointStamped, "ground_truth/hero", heroes.append, 5)
    node.create_subscription(Image, "image_raw", lambda _: None, 5)
    odom = node.create_publisher(Odometry, "odom", 5)
    given = {"vehicle": "odom", "scenario": "stop_and_go", "width_px": 80, "height_px": 60}
    simulator = start_node("simulator", domain_id, *parameter_arguments(given))
    place_m = np.array([7.0, 7.0, 0.0])

    def live(*, x_m: float | None = None) -> None:
        message = Odometry()
        message.header.stamp = node.get_clock().now().to_msg()
        position, q = message.pose.pose.position, message.pose.pose.orientation
        position.x, position.y, position.z = place_m[0] if x_m is None else x_m, place_m[1], place_m[2]
        q.x, q.y, q.z, q.w = quaternion_xyzw(0.0, 0.0, 1.0)
        odom.publish(message)
        rclpy.spin_once(node, timeout_sec=0.02)

    def go(*velocity_m_s: float, seconds: float) -> None:
        last_s = time.monotonic()
        end_s = last_s + seconds
        while (now_s := time.monotonic()) < end_s:
            place_m[:] += np.array(velocity_m_s) * (now_s - last_s)
            last_s = now_s
            live()

    def hears(*, x_m: float | None = None, seconds: float = 2.0) -> int:
        count, end_s = len(heroes), time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > end_s, lambda: live(x_m=x_m))
        return len(heroes) - count

    try:
        assert wait_until(lambda: len(heroes) > 3, live, 60.0)
        before = heroes[-1].point
        assert math.hypot(before.x, before.z) == pytest.approx(5.0, abs=0.5), "it stands at the scenario's start"
        go(0.0, 0.0, 0.3, seconds=1.0)
        assert wait_until(lambda: heroes[-1].point.y > before.y + 0.15, live), "it has climbed"
        assert {info.node_name for info in node.get_publishers_info_by_topic("odom")} == {"vehicle"}
        hears(x_m=math.nan, seconds=1.0)
        assert hears(x_m=math.nan, seconds=1.0) == 0
        assert hears() > 5, "it goes on when the odometry is good again"
    finally:
        output = interrupt(simulator, 60.0)
        node.destroy_node()
    assert "no pictures: odometry" in output
    assert "pictures again" in output
    assert simulator.returncode == 0, output


def test_a_vehicle_outside_has_a_clock_of_its_own(domain_id):
    process = start_node("simulator", domain_id, "-p", "vehicle:=odom", "-p", "clock:=true")
    output = finish(process)
    assert process.returncode == 1
    assert "error: parameter clock: vehicle odom has a clock of its own; leave it false" in output
