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
        "frames a second; 0: the source's own stamps (15 for frames without stamps)",
        unit="Hz",
        minimum=0,
        maximum=1000,
    )
    speed: float = fixed_parameter(
        1.0, "speed relative to the source's own stamps, where rate_hz is 0", minimum=0.01, maximum=100.0
    )
    image_topic: str = fixed_parameter("", "the camera's topic in a bag with several; empty: find it")
    clock: bool = fixed_parameter(
        False, "publish with the recorded stamps, and these as /clock; every other node then needs use_sim_time"
    )
    wait_for_subscribers: int = fixed_parameter(
        1, "number of subscribers of the images to wait for", minimum=1, maximum=100
    )
    wait_for_mask_subscribers: int = fixed_parameter(
        0, "number of subscribers of the true masks to wait for", minimum=0, maximum=100
    )
    loop: bool = fixed_parameter(False, "play again from the start; else the node ends after the last frame")
    wait_for_subscriber_s: float = fixed_parameter(
        30.0, "maximum wait for subscribers before the first frame", unit="s", minimum=0, maximum=600
    )
    frame_id: str = fixed_parameter("camera_optical_frame", "frame of the images: x right, y down, z forward")
    calibration: str = fixed_parameter(
        "", "the camera's calibration (YAML of camera_calibration); empty: that of a bag's camera_info"
    )
    horizontal_fov_deg: float = fixed_parameter(
        60.0,
        "the camera's horizontal angle of view, where neither calibration nor source give it",
        unit="deg",
        minimum=1,
        maximum=179,
    )
