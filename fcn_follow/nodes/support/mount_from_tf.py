"""The camera's mount from TF, if tf2_ros is installed: the static transform from its frame to the body's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Generic, TypeVar

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from fcn_follow.coordinates import rotated_by
from fcn_follow.errors import UserError
from fcn_follow.following.plausibility import is_unit_quaternion
from fcn_follow.geometry import Vector3
from fcn_follow.shared_parameters import CameraParameters

try:
    import tf2_ros
    from tf2_msgs.msg import TFMessage
except ImportError:
    tf2_ros = None

CameraT = TypeVar("CameraT", bound=CameraParameters)
MAX_POSITION_M = 5.0
"""As the parameters of the camera's position allow."""
MAX_TURN_RAD = 0.05
"""Roll and yaw of the camera are not taken into account; below this they do not matter."""
MAX_CHANGE_M, MAX_CHANGE_RAD = 0.05, 0.05
"""Of a static transform: a mount does not move."""
OPTICAL_AXES = (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
BODY_AXES = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)
"""To the left and forward, in an optical frame and in a body frame (REP-103)."""
TF_STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class MountFromTf(Generic[CameraT]):
    """Reads /tf_static; `fault` is the reason if the transform cannot be used."""

    def __init__(self, node: Node) -> None:
        self.fault = ""
        self._logger = node.get_logger()
        self._buffer: Any = None
        self._is_new = False
        self._asked: tuple[CameraT, str] | None = None
        self._answer: CameraT | None = None
        self._firsts: dict[str, Any] = {}  # by child frame
        self._latest: dict[str, Any] = {}
        if tf2_ros is not None:
            self._buffer = tf2_ros.Buffer()
            node.create_subscription(TFMessage, "/tf_static", self._on_transforms, TF_STATIC_QOS)

    def mounted(self, camera: CameraT, camera_frame: str) -> CameraT:
        """`camera` with the mount from TF; unchanged if TF has none.

        A stabilised camera keeps its pitch: the pitch is against gravity, but in TF it is against the body.
        """
        if self._buffer is None:
            return camera
        asked = camera, camera_frame
        if self._answer is None or self._is_new or self._asked != asked:
            self._is_new, self._asked = False, asked
            self._answer = self._look_up(*asked)
        return self._answer

    def _on_transforms(self, message: Any) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, "tf_static")
            self._firsts.setdefault(transform.child_frame_id, transform)
            self._latest[transform.child_frame_id] = transform
        self._is_new = True

    def _look_up(self, camera: CameraT, camera_frame: str) -> CameraT:
        self.fault = ""
        try:
            transform = self._buffer.lookup_transform(camera.base_frame, camera_frame, Time()).transform
        except tf2_ros.TransformException:
            return camera  # TF has no such tree
        position, q = transform.translation, transform.rotation
        try:
            mounted = with_mount(camera, (position.x, position.y, position.z), (q.x, q.y, q.z, q.w))
        except UserError as error:
            self.fault = f"TF from {camera.base_frame} to {camera_frame[:80]}: {error}"
            return camera
        between = self._path_to_root(camera.base_frame) ^ self._path_to_root(camera_frame)
        if any(_has_changed(self._firsts[frame], self._latest[frame]) for frame in between):
            self.fault = (
                f"TF from {camera.base_frame} to {camera_frame[:80]} has changed, to {_words(mounted)}; give each "
                "drone's frames names of their own, or restart if the camera was moved"
            )
            return camera
        self._logger.info(
            f"the camera's mount comes from TF ({camera.base_frame} to {camera_frame[:80]}): {_words(mounted)}; "
            f"the parameters have {_words(camera)}"
        )
        return mounted

    def _path_to_root(self, frame: str) -> set[str]:
        """The frame and those above it that have a transform to their parent."""
        path: set[str] = set()
        while frame in self._latest and frame not in path:
            path.add(frame)
            frame = self._latest[frame].header.frame_id
        return path


def with_mount(
    camera: CameraT, position_body_m: Vector3, orientation_body_xyzw: tuple[float, float, float, float]
) -> CameraT:
    """The camera at a place and an orientation in base_link.

    Args:
        camera: keeps `stabilised` and, if it is stabilised, the pitch.
        position_body_m: of the camera in base_link.
        orientation_body_xyzw: of the camera's frame in base_link. The axes show whether it is an optical frame (x
            right, y down, z forward) or that of the camera's body (x forward, y left, z up); REP-103.

    Raises:
        UserError: the values are impossible, or the camera is not only pitched.
    """
    is_near = all(abs(each) <= MAX_POSITION_M for each in position_body_m)
    if not is_near or not is_unit_quaternion(orientation_body_xyzw):
        raise UserError(f"impossible position or rotation; the camera must be within {MAX_POSITION_M:g} m of the body")
    for left_axis, forward_axis in (OPTICAL_AXES, BODY_AXES):
        left, forward = (rotated_by(orientation_body_xyzw, axis) for axis in (left_axis, forward_axis))
        if left[1] > math.cos(MAX_TURN_RAD):
            x_m, y_m, z_m = position_body_m
            pitch_rad = camera.pitch_down_rad if camera.stabilised else math.atan2(-forward[2], forward[0])
            return replace(camera, x_m=x_m, y_m=y_m, z_m=z_m, pitch_down_rad=pitch_rad)
    raise UserError("the camera rolls, or looks to a side; it must look ahead and may only be turned down or up")


def _has_changed(first: Any, latest: Any) -> bool:
    """Whether two static transforms of one child frame differ by more than a mount can move."""
    (a, b), (p, q) = ((each.transform.translation, each.transform.rotation) for each in (first, latest))
    moved_m = math.dist((a.x, a.y, a.z), (p.x, p.y, p.z))
    turned_rad = 2.0 * math.acos(min(1.0, abs(b.x * q.x + b.y * q.y + b.z * q.z + b.w * q.w)))
    is_same = moved_m <= MAX_CHANGE_M and turned_rad <= MAX_CHANGE_RAD  # not so for NaN
    return first.header.frame_id != latest.header.frame_id or not is_same


def _words(camera: CameraParameters) -> str:
    x_m, y_m, z_m = camera.mount.position_body_m
    return f"{x_m:g} m ahead, {y_m:g} m left, {z_m:g} m above, {math.degrees(camera.pitch_down_rad):.1f} degrees down"
