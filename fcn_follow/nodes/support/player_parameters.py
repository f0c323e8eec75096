"""The parameters of the node `player`."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.parameters import fixed_parameter


@dataclass(frozen=True)
class PlayerParameters:
    """All parameters of the node `player`."""

    source: str = fixed_parameter(
        "",
        "folder or zip of frames, video file, rosbag2 folder (sqlite3 or mcap), or a camera's number or device",
    )
    rate_hz: float = fixed_parameter(
        0.0,
        "frame rate; 0: as in the source's stamps (15 for frames without stamps)",
        unit="Hz",
        minimum=0,
        maximum=1000,
    )
    speed: float = fixed_parameter(
        1.0, "speed relative to the source's stamps, if rate_hz is 0", minimum=0.01, maximum=100.0
    )
    image_topic: str = fixed_parameter("", "image topic, for a bag with several cameras; empty: find it")
    clock: bool = fixed_parameter(
        False, "use the recorded stamps, and publish them on /clock; every other node then needs use_sim_time"
    )
    wait_for_subscribers: int = fixed_parameter(
        1, "number of subscribers to the images to wait for", minimum=1, maximum=100
    )
    wait_for_mask_subscribers: int = fixed_parameter(
        0, "number of subscribers to the true masks to wait for", minimum=0, maximum=100
    )
    loop: bool = fixed_parameter(False, "play again and again; false: the node ends after the last frame")
    wait_for_subscriber_s: float = fixed_parameter(
        30.0, "maximum wait for subscribers before the first frame", unit="s", minimum=0, maximum=600
    )
    frame_id: str = fixed_parameter("camera_optical_frame", "frame of the images: x right, y down, z forward")
    calibration: str = fixed_parameter(
        "", "calibration file of the camera (YAML of camera_calibration); empty: the bag's camera_info"
    )
    horizontal_fov_deg: float = fixed_parameter(
        60.0,
        "horizontal field of view of the camera, if neither the calibration nor the source gives it",
        unit="deg",
        minimum=1,
        maximum=179,
    )
