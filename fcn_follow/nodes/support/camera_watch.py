"""The camera's intrinsics from camera_info, checked for plausibility."""

from __future__ import annotations

from typing import Any

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import MessageError, intrinsics

MAX_CHANGE = 0.05  # of a focal length; calibrations of one camera differ by less


class CameraWatch:
    """Keeps the camera that camera_info describes; `fault` is the reason if it cannot be used.

    `take` and `fitting` may be called from different threads.
    """

    def __init__(self) -> None:
        self.camera: CameraIntrinsics | None = None
        self._first: CameraIntrinsics | None = None
        self._refusal = ""
        self._misfit = ""

    @property
    def fault(self) -> str:
        """What is wrong with camera_info now; empty if nothing is."""
        return self._refusal or self._misfit

    def take(self, message: Any) -> None:
        """Take a sensor_msgs/CameraInfo; after an impossible one, or one of another camera, there is no camera."""
        try:
            camera = intrinsics(message)
            self._compare(camera)
        except MessageError as error:
            self._refusal, self.camera = str(error), None
            return
        self.camera, self._refusal = camera, ""

    def fitting(self, height_px: int, width_px: int) -> CameraIntrinsics | None:
        """The camera of an image of this size; None, and a fault, if camera_info is of another size."""
        camera = self.camera
        if camera is None or (camera.height_px, camera.width_px) == (height_px, width_px):
            self._misfit = ""
            return camera
        self._misfit = (
            f"camera_info is of {camera.width_px}x{camera.height_px} and the image of {width_px}x{height_px}; "
            "both must be of one size"
        )
        return None

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
