"""The camera's intrinsics from camera_info, checked for plausibility."""

from __future__ import annotations

from typing import Any

from fcn_follow.errors import shown
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import MessageError, fitting_camera, image_cameras, intrinsics, lens_distortion

MAX_CHANGE = 0.05  # of focal length and principal point, in focal lengths; calibrations of one camera differ by less
MIN_DISTORTION = 0.05  # from which on it is named
MAX_SIZES = 8  # a camera changes between few sizes


class CameraWatch:
    """Keeps the camera that camera_info describes; `fault` is the reason if it cannot be used, `lens` a warning.

    `rectified` is set if the images are rectified: their camera is then P, and the lens matters no more.
    `take` and `fitting` may be called from different threads.
    """

    def __init__(self) -> None:
        self.rectified = False
        self.lens = ""
        self._cameras: tuple[CameraIntrinsics, ...] = ()
        self._firsts: dict[tuple[int, int], CameraIntrinsics] = {}
        self._known_lens: tuple[object, ...] = ()
        self._frame_id: str | None = None
        self._refusal = ""
        self._misfit = ""

    @property
    def camera(self) -> CameraIntrinsics | None:
        """The camera of the images according to camera_info; None while it is not known."""
        cameras = self._cameras
        return cameras[0] if cameras else None

    @property
    def fault(self) -> str:
        """What is wrong with camera_info now; empty if nothing is."""
        return self._refusal or self._misfit

    def take(self, message: Any) -> None:
        """Take a sensor_msgs/CameraInfo; an impossible one, or one of another camera, leaves no camera."""
        try:
            cameras = image_cameras(message, rectified=self.rectified)
            if change := self._change(message.header.frame_id, intrinsics(message, rectified=self.rectified)):
                raise MessageError(f"camera_info changed {change}; restart the segmenter if the camera was replaced")
        except MessageError as error:
            self._refusal, self._cameras = str(error), ()
            return
        self._cameras, self._refusal = cameras, ""
        lens = self.rectified, cameras, message.distortion_model, *message.d
        if lens != self._known_lens:  # drivers repeat it with every image
            self._known_lens, self.lens = lens, "" if self.rectified else _lens_warning(message)

    def fitting(self, height_px: int, width_px: int) -> CameraIntrinsics | None:
        """The camera of an image of this size; None, and a fault, if camera_info is of another size.

        Their frames may differ: AirSim and some versions of Gazebo name the optical frame in only one of the two.
        """
        cameras = self._cameras
        camera = fitting_camera(cameras, height_px, width_px)
        misfit = ""
        if cameras and camera is None:
            sizes = " or ".join(f"{each.width_px}x{each.height_px}" for each in cameras)
            misfit = f"camera_info is for {sizes}, but the image has {width_px}x{height_px}; both must have one size"
        self._misfit = misfit
        return camera

    def _change(self, frame_id: str, camera: CameraIntrinsics) -> str:
        """What differs from the first message, or from the first one of this size; empty if nothing does."""
        if self._frame_id is None:
            self._frame_id = frame_id
        if frame_id != self._frame_id:
            return f"from frame {shown(self._frame_id)} to {shown(frame_id)}"
        size = camera.width_px, camera.height_px
        if size not in self._firsts and len(self._firsts) == MAX_SIZES:
            return f"between more than {MAX_SIZES} image sizes"
        first = self._firsts.setdefault(size, camera)
        for name, focal_px in (("fx", first.fx_px), ("fy", first.fy_px), ("cx", first.fx_px), ("cy", first.fy_px)):
            was_px, is_px = (getattr(each, f"{name}_px") for each in (first, camera))
            if abs(is_px - was_px) > MAX_CHANGE * focal_px:
                return f"from {name} {was_px:g} to {is_px:g}"
        return ""


def _lens_warning(message: Any) -> str:
    """That the lens distorts the image too much for a pinhole camera, or an empty text."""
    share = lens_distortion(message)
    if abs(share) < MIN_DISTORTION:
        return ""
    bends = f"the lens moves the image's border by {100 * share:.0f} %, and positions are those of a pinhole camera"
    return f"{bends}: give rectified images, with their own camera_info"
