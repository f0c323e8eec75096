"""The camera's intrinsics from camera_info, checked for plausibility."""

from __future__ import annotations

from typing import Any

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import MessageError, fitting_camera, image_cameras, intrinsics

MAX_CHANGE = 0.05  # of a focal length; calibrations of one camera differ by less


class CameraWatch:
    """Keeps the camera that camera_info describes; `fault` is the reason if it cannot be used.

    `take` and `fitting` may be called from different threads.
    """

    def __init__(self) -> None:
        self._cameras: tuple[CameraIntrinsics, ...] = ()
        self._first: CameraIntrinsics | None = None
        self._refusal = ""
        self._misfit = ""

    @property
    def camera(self) -> CameraIntrinsics | None:
        """The camera of the images by camera_info; None while it is not known."""
        cameras = self._cameras
        return cameras[0] if cameras else None

    @property
    def fault(self) -> str:
        """What is wrong with camera_info now; empty if nothing is."""
        return self._refusal or self._misfit

    def take(self, message: Any) -> None:
        """Take a sensor_msgs/CameraInfo; after an impossible one, or one of another camera, there is no camera."""
        try:
            cameras = image_cameras(message)
            self._compare(intrinsics(message))
        except MessageError as error:
            self._refusal, self._cameras = str(error), ()
            return
        self._cameras, self._refusal = cameras, ""

    def fitting(self, height_px: int, width_px: int) -> CameraIntrinsics | None:
        """The camera of an image of this size; None, and a fault, if camera_info is of another size."""
        cameras = self._cameras
        camera = fitting_camera(cameras, height_px, width_px)
        sizes = " or ".join(f"{each.width_px}x{each.height_px}" for each in cameras)
        misfit = f"camera_info is of {sizes} and the image of {width_px}x{height_px}; both must be of one size"
        self._misfit = misfit if cameras and camera is None else ""
        return camera

    def _compare(self, camera: CameraIntrinsics) -> None:
        """Raise MessageError for a camera of the first one's image size with other focal lengths."""
        first = self._first
        if first is None or (first.width_px, first.height_px) != (camera.width_px, camera.height_px):
            self._first = camera
            return
        for name, was_px, is_px in (("fx", first.fx_px, camera.fx_px), ("fy", first.fy_px, camera.fy_px)):
            if abs(is_px - was_px) > MAX_CHANGE * was_px:
                raise MessageError(
                    f"camera_info changed from {name} {was_px:g} to {is_px:g}; "
                    "restart the segmenter if the camera was exchanged"
                )
