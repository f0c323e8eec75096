"""The simulator node and the follower node over real DDS: the drone follows, and stops when commands end."""

import math
import re

import numpy as np
import pytest
from ros_tools import ROOT, interrupt, loads_pytorch, parameter_arguments, start_node, wait_until

from fcn_follow.following.parameters import Limits


@pytest.mark.usefixtures("ros")
def test_closed_loop_over_topics(domain_id, tmp_path):
    import rclpy
    from geometry_msgs.msg import PointStamped
    from nav_msgs.msg import Odometry
    from sensor_msgs.msg import CameraInfo, Image

    from fcn_follow.images.messages import image_to_rgb, intrinsics

    node = rclpy.create_node("relay")
    received = {"image": [], "mask": [], "hero": [], "info": [], "odom": []}
    position = node.create_publisher(PointStamped, "hero/position", 5)
    centroid = node.create_publisher(PointStamped, "hero/centroid", 5)

    def on_hero(message):
        received["hero"].append(message)
        position.publish(message)
        centroid.publish(message)

    node.create_subscription(PointStamped, "ground_truth/hero", on_hero, 5)
    node.create_subscription(Image, "image_raw", received["image"].append, 5)
    node.create_subscription(Image, "ground_truth/label_mask", received["mask"].append, 5)
    node.create_subscription(CameraInfo, "camera_info", received["info"].append, 5)
    node.create_subscription(Odometry, "odom", received["odom"].append, 5)
    parameters = {"scenario": "straight", "width_px": 160, "height_px": 120, "report": str(tmp_path)}
    files = ["--params-file", str(ROOT / "config" / "simulator.yaml")]
    simulator = start_node("simulator", domain_id, *files, *parameter_arguments(parameters))
    follower = start_node("follower", domain_id, *files, "-p", "start_enabled:=true")
    try:

        def far_enough():
            odom = received["odom"]
            flown_s = odom[-1].header.stamp.sec - odom[0].header.stamp.sec if odom else 0
            return flown_s > 7 and odom[-1].pose.pose.position.x > -21.5

        moved = wait_until(far_enough, lambda: rclpy.spin_once(node, timeout_sec=0.05), 60.0)
    finally:
        follower_output = interrupt(follower)
        last_m_s = []

        def stopped():
            twist = received["odom"][-1].twist.twist.linear
            last_m_s.append(math.hypot(twist.x, twist.y))
            return len(last_m_s) > 20 and max(last_m_s[-20:]) < 0.2

        came_to_rest = wait_until(stopped, lambda: rclpy.spin_once(node, timeout_sec=0.05), 30.0)
        output = interrupt(simulator)
        node.destroy_node()
    assert moved, output + follower_output
    assert came_to_rest, output
    image, mask, camera = received["image"][-1], received["mask"][-1], intrinsics(received["info"][-1])
    assert (image.width, image.height, image.encoding, mask.encoding) == (160, 120, "rgb8", "mono8")
    assert image.header.frame_id == "camera_optical_frame"
    by_stamp = {(m.header.stamp.sec, m.header.stamp.nanosec): m for m in received["mask"]}
    checked = 0
    for hero in received["hero"]:
        mask = by_stamp.get((hero.header.stamp.sec, hero.header.stamp.nanosec))
        if mask is None:
            continue
        rows, columns = np.nonzero(image_to_rgb(mask)[..., 0] == 2)
        x_px = camera.fx_px * hero.point.x / hero.point.z + camera.cx_px
        y_px = camera.fy_px * hero.point.y / hero.point.z + camera.cy_px
        assert abs(columns.mean() - x_px) < 3 and rows.min() < y_px < rows.max()
        checked += 1
    assert checked > 10
    page = (tmp_path / "flight.html").read_text()
    assert "closest approach" in page
    smoothness = re.search(r"commanded acceleration, RMS</td><td>([\d.]+) m/s²", page)
    assert smoothness and float(smoothness[1]) > 0.0, "the commands have the times of the flight"


def test_an_unknown_scenario_is_one_line(domain_id):
    from ros_tools import finish

    process = start_node("simulator", domain_id, "-p", "scenario:=stright")
    output = finish(process)
    assert process.returncode == 1
    assert "there is no scenario 'stright'; did you mean straight?" in output
    assert "Traceback" not in output


@pytest.mark.usefixtures("ros")
def test_masks_that_are_none_do_not_end_the_simulation(domain_id, tmp_path):
    import rclpy
    from sensor_msgs.msg import Image

    node = rclpy.create_node("stranger")
    stamps = []
    node.create_subscription(Image, "image_raw", lambda image: stamps.append(image.header.stamp), 5)
    masks = node.create_publisher(Image, "segmentation/label_mask", 5)
    simulator = start_node("simulator", domain_id, *parameter_arguments({"wait_s": 0.0, "report": str(tmp_path)}))
    assert wait_until(lambda: len(stamps) > 3, lambda: rclpy.spin_once(node, timeout_sec=0.1), 60.0)
    for index in range(20):  # each as the mask of an image that the simulator remembers
        mask = Image(encoding="mono8", width=640, height=480, step=1 + index)
        mask.header.stamp = stamps[-1]
        masks.publish(mask)
        rclpy.spin_once(node, timeout_sec=0.1)
    assert not loads_pytorch(simulator.pid)
    before = len(stamps)
    assert wait_until(lambda: len(stamps) > before + 5, lambda: rclpy.spin_once(node, timeout_sec=0.1))
    output = interrupt(simulator, timeout_s=60.0)
    node.destroy_node()
    assert simulator.returncode == 0, output
    assert "a label mask was dropped: image step" in output
    assert "Traceback" not in output


@pytest.mark.usefixtures("ros")
def test_a_slow_machine_makes_no_violations_of_commands_within_the_limits(domain_id, tmp_path):
    """Pictures this large are drawn so slowly on most machines that the flight's time falls behind."""
    import rclpy
    from geometry_msgs.msg import TwistStamped

    node = rclpy.create_node("commander")
    commands = node.create_publisher(TwistStamped, "cmd_vel", 5)
    parameters = {"wait_s": 20.0, "report": str(tmp_path), "width_px": 1440, "height_px": 1080, "duration_s": 1.5}
    simulator = start_node("simulator", domain_id, *parameter_arguments(parameters))

    def command():
        message = TwistStamped()
        message.header.stamp = node.get_clock().now().to_msg()
        now_s = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        message.twist.linear.x = 0.95 * Limits().acceleration_m_s2 * abs(now_s % 1.0 - 0.5)
        commands.publish(message)
        rclpy.spin_once(node, timeout_sec=0.01)

    assert wait_until(lambda: simulator.poll() is not None, command, 90.0)
    node.destroy_node()
    assert re.search(r"limit violations</td><td>0</td>", (tmp_path / "flight.html").read_text())
