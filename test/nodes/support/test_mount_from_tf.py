"""The camera's mount from TF: rotations against matrices, and the two nodes' use of it.

tf2_ros comes with a ROS install. Without it a message of another type carries the transform over DDS, without the names
of its frames, and a buffer of the test answers for the one pair of frames.
"""

from __future__ import annotations

import importlib.util
import math
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from follower_rig import FollowerRig
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from ros_tools import wait_until
from trajectory_msgs.msg import MultiDOFJointTrajectoryPoint

from fcn_follow.errors import UserError
from fcn_follow.nodes.follower import FollowerNode
from fcn_follow.nodes.support import mount_from_tf
from fcn_follow.nodes.support.mount_from_tf import TF_STATIC_QOS, MountFromTf, with_mount
from fcn_follow.shared_parameters import CameraParameters

FRAME = "camera_optical_frame"
HAS_TF = importlib.util.find_spec("tf2_ros") is not None


def quaternion_of(axes: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, z, w of a rotation matrix whose columns are the frame's axes in the body, by its eigenvector of 1."""
    values, vectors = np.linalg.eig(axes)
    axis = np.real(vectors[:, np.argmin(np.abs(values - 1.0))])
    angle = math.acos(max(-1.0, min(1.0, (np.trace(axes) - 1.0) / 2.0)))
    skew = np.array((axes[2, 1] - axes[1, 2], axes[0, 2] - axes[2, 0], axes[1, 0] - axes[0, 1]))
    sign = -1.0 if skew @ axis < 0.0 else 1.0
    x, y, z = sign * axis * math.sin(angle / 2.0)
    return x, y, z, math.cos(angle / 2.0)


def camera_axes(pitch_down_rad: float, yaw_rad: float = 0.0, roll_rad: float = 0.0, optical: bool = True):
    """The columns are the axes of a camera that looks down, then aside, with its picture rolled."""
    forward = np.array((math.cos(pitch_down_rad), 0.0, -math.sin(pitch_down_rad)))
    left = np.array((0.0, 1.0, 0.0))
    up = np.cross(forward, left)
    left, up = left * math.cos(roll_rad) + up * math.sin(roll_rad), up * math.cos(roll_rad) - left * math.sin(roll_rad)
    turn = np.array(
        ((math.cos(yaw_rad), -math.sin(yaw_rad), 0.0), (math.sin(yaw_rad), math.cos(yaw_rad), 0.0), (0.0, 0.0, 1.0))
    )
    return turn @ np.column_stack((-left, -up, forward) if optical else (forward, left, up))


@pytest.mark.parametrize("optical", [True, False])
@pytest.mark.parametrize("pitch_rad", [-1.2, -0.3, 0.0, 0.297, 1.0, math.pi / 2])
def test_the_pitch_is_that_of_the_cameras_axes(pitch_rad, optical):
    rotation = quaternion_of(camera_axes(pitch_rad, optical=optical))
    fixed = with_mount(CameraParameters(0.1, stabilised=False), (0.12, -0.03, -0.05), rotation)
    assert fixed.mount.position_body_m == (0.12, -0.03, -0.05)
    assert fixed.pitch_down_rad == pytest.approx(pitch_rad, abs=1e-6)
    assert not fixed.stabilised
    on_a_gimbal = with_mount(CameraParameters(0.1, stabilised=True), (0.12, -0.03, -0.05), rotation)
    assert (on_a_gimbal.x_m, on_a_gimbal.pitch_down_rad) == (0.12, 0.1)


@pytest.mark.parametrize(
    "axes",
    [
        camera_axes(0.2, yaw_rad=math.pi / 2),
        camera_axes(0.2, yaw_rad=math.pi),
        camera_axes(0.2, roll_rad=math.pi),
        camera_axes(0.2, yaw_rad=0.1),
        camera_axes(0.2, roll_rad=-0.1),
        camera_axes(0.2, roll_rad=math.pi / 2, optical=False),
    ],
)
def test_a_camera_that_is_turned_otherwise_is_refused(axes):
    with pytest.raises(UserError, match="only be turned down or up"):
        with_mount(CameraParameters(stabilised=False), (0.0, 0.0, 0.0), quaternion_of(axes))


@pytest.mark.parametrize(
    ("position_m", "rotation"),
    [
        ((0.0, 7.0, 0.0), (-0.5, 0.5, -0.5, 0.5)),
        ((math.nan, 0.0, 0.0), (-0.5, 0.5, -0.5, 0.5)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (math.inf, 0.0, 0.0, 1.0)),
    ],
)
def test_impossible_transforms_are_refused(position_m, rotation):
    with pytest.raises(UserError, match="impossible"):
        with_mount(CameraParameters(), position_m, rotation)


class OneTransform:
    """A tf2_ros.Buffer that knows the transform between the camera and base_link."""

    def __init__(self) -> None:
        self.transform: Transform | None = None

    def set_transform_static(self, stamped: TransformStamped, authority: str) -> None:
        assert authority
        self.transform = stamped.transform

    def lookup_transform(self, target_frame: str, source_frame: str, time: rclpy.time.Time) -> SimpleNamespace:
        if self.transform is None or (target_frame, source_frame) != ("base_link", FRAME):
            raise LookupError
        assert time.nanoseconds == 0, "the latest"
        return SimpleNamespace(transform=self.transform)


def stamped(transform: Transform) -> TransformStamped:
    found = TransformStamped(child_frame_id=FRAME, transform=transform)
    found.header.frame_id = "base_link"
    return found


@pytest.fixture
def tf_message(monkeypatch: pytest.MonkeyPatch):
    """Make the message of /tf_static for a transform."""
    if HAS_TF:
        return lambda transform: mount_from_tf.TFMessage(transforms=[stamped(transform)])
    stub = SimpleNamespace(Buffer=OneTransform, TransformException=LookupError)
    monkeypatch.setattr(mount_from_tf, "tf2_ros", stub)
    monkeypatch.setattr(mount_from_tf, "TFMessage", MultiDOFJointTrajectoryPoint, raising=False)
    take = MountFromTf._on_transforms
    monkeypatch.setattr(
        MountFromTf,
        "_on_transforms",
        lambda self, message: take(self, SimpleNamespace(transforms=list(map(stamped, message.transforms)))),
    )
    return lambda transform: MultiDOFJointTrajectoryPoint(transforms=[transform])


def mount(pitch_rad: float, yaw_rad: float = 0.0) -> Transform:
    x, y, z, w = quaternion_of(camera_axes(pitch_rad, yaw_rad))
    return Transform(translation=Vector3(x=0.2, z=-0.1), rotation=Quaternion(x=x, y=y, z=z, w=w))


@pytest.mark.skipif(HAS_TF, reason="the buffer of the test answers without a time")
@pytest.mark.parametrize("own_first", [True, False])
def test_two_drones_with_the_same_frames_before_the_first_image_are_a_fault(tf_message, own_first):
    """/tf_static is latched: both drones' transforms arrive at the start, in either order."""
    node = SimpleNamespace(get_logger=lambda: SimpleNamespace(info=print), create_subscription=lambda *_: None)
    mounts: MountFromTf[CameraParameters] = MountFromTf(node)
    camera = CameraParameters(stabilised=False)
    for pitch_rad in (0.1, 0.6) if own_first else (0.6, 0.1):
        mounts._on_transforms(tf_message(mount(pitch_rad)))
    assert mounts.mounted(camera, FRAME) == camera
    assert "has changed" in mounts.fault


def test_the_follower_flies_by_the_mount_of_tf_and_not_with_one_that_it_cannot_use(domain_id, tf_message, cleanup):
    arguments = ["--ros-args", "-p", "start_enabled:=true", "-p", "camera.stabilised:=false"]
    rclpy.init(args=arguments, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    cleanup.callback(rclpy.try_shutdown)
    rig, follower = FollowerRig(), FollowerNode()
    executor = SingleThreadedExecutor()
    executor.add_node(follower)
    cleanup.callback(executor.shutdown)

    def show():
        rig.show_odom()
        for _ in range(5):
            executor.spin_once(timeout_sec=0.002)

    def publish(pitch_rad: float, yaw_rad: float = 0.0):
        transform = mount(pitch_rad, yaw_rad)
        publisher = rig.node.create_publisher(type(tf_message(transform)), "/tf_static", TF_STATIC_QOS)
        publisher.publish(tf_message(transform))

    def camera():
        return follower._follower.parameters.camera

    assert wait_until(lambda: rig.state() == "tracking", show), "without a tree the parameters hold"
    assert camera().pitch_down_rad == 0.0
    publish(0.3)
    assert wait_until(lambda: camera().pitch_down_rad == pytest.approx(0.3), show)
    assert (camera().x_m, camera().z_m, camera().keep_rad) == (0.2, -0.1, 0.4)
    assert wait_until(lambda: rig.state() == "tracking", show)
    publish(0.3, yaw_rad=math.pi / 2)
    assert wait_until(lambda: rig.state() == "holding", show)
    assert "TF from base_link to camera_optical_frame: the camera rolls, or looks to a side" in rig.states[-1][1]

    def change(name: str, value: object):
        (result,) = follower.set_parameters([Parameter(name, value=value)])
        assert result.successful

    change("camera.base_frame", "none")
    assert wait_until(lambda: rig.state() == "tracking", show), "TF is left out"
    assert camera().pitch_down_rad == 0.0
    change("camera.base_frame", "base_link")
    assert wait_until(lambda: rig.state() == "holding", show), "nor is the transform right because it was not read"
    publish(0.3)
    assert wait_until(lambda: rig.state() == "tracking", show)
    publish(0.6)
    assert wait_until(lambda: rig.state() == "holding", show), "another drone's camera, in a frame of the same name"
    assert "TF from base_link to camera_optical_frame has changed" in rig.states[-1][1]
    publish(0.3)
    assert wait_until(lambda: rig.state() == "tracking", show)
    assert camera().pitch_down_rad == pytest.approx(0.3)
    for name, value in (("camera.stabilised", True), ("camera.pitch_down_rad", 0.1), ("camera.pitch_down_rad", 0.3)):
        change(name, value)
        assert follower._mount.fault == "", "a gimbal's pitch is the parameter's, and may change"
