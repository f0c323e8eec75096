"""The parameters of the node `simulator`."""

from __future__ import annotations

from dataclasses import dataclass, field

from fcn_follow.autopilots.parameters import MavlinkParameters
from fcn_follow.parameters import fixed_parameter
from fcn_follow.shared_parameters import CameraParameters


@dataclass(frozen=True)
class SimulatorParameters:
    """All parameters of the node `simulator`."""

    scenario: str = fixed_parameter("tour", "what happens in the world; fcn-follow fly --list shows all scenarios")
    seed: int = fixed_parameter(0, "seed of people, textures and wind", minimum=0)
    duration_s: float = fixed_parameter(
        0.0, "duration of the flight, after which the node ends; 0: no end", unit="s", minimum=0.0, maximum=1e6
    )
    width_px: int = fixed_parameter(320, "width of the image", unit="px", minimum=32, maximum=1920)
    height_px: int = fixed_parameter(240, "height of the image", unit="px", minimum=32, maximum=1080)
    horizontal_fov_deg: float = fixed_parameter(
        80.0, "horizontal field of view of the camera", unit="deg", minimum=20.0, maximum=150.0
    )
    camera: CameraParameters = field(default_factory=CameraParameters)
    clock: bool = fixed_parameter(
        False, "publish /clock and take stamps from it; every other node then needs use_sim_time"
    )
    vehicle: str = fixed_parameter(
        "internal",
        "what flies the drone; internal: this simulator, by cmd_vel; mavlink, odom: another simulator, whose pose "
        "moves the camera, from ATTITUDE and LOCAL_POSITION_NED or from the topic odom (nav_msgs/Odometry; z = 0 is "
        "the ground)",
        choices=("internal", "mavlink", "odom"),
    )
    mavlink: MavlinkParameters = field(
        default_factory=lambda: MavlinkParameters(address="udpin:127.0.0.1:14552", system_id=245)
    )
    cmd_vel_type: str = fixed_parameter("twist_stamped", "message type of cmd_vel", choices=("twist_stamped", "twist"))
    wait_s: float = fixed_parameter(
        30.0,
        "maximum time to wait for a subscriber to the images and a publisher of the commands",
        unit="s",
        minimum=0.0,
        maximum=600.0,
    )
    report: str = fixed_parameter("", "folder for the flight report; empty: no report")
    frame_id: str = fixed_parameter("camera_optical_frame", "frame of the images: x right, y down, z forward")
