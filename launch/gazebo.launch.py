"""Segmenter and follower in Gazebo Harmonic: world, drone, bridge and nodes; if one of them ends, all end.

ros2 launch fcn_follow gazebo.launch.py gui:=true
"""

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from fcn_follow.nodes.support.interlock import SIMULATED_CMD_VEL
from fcn_follow.nodes.support.launching import NODE_ARGUMENTS, required
from fcn_follow.share import share_directory

SHARE = share_directory()
DRONES = {
    "velocity": ("follow_drone", "gazebo.yaml"),
    "rotors": ("follow_drone_rotors", "gazebo_rotors.yaml"),
}
AUTOPILOTS = {
    "ardupilot": ("follow_iris", "gazebo_ardupilot.yaml"),
    "px4": ("follow_x500", "gazebo_px4.yaml"),
}
"""These models include models of the autopilots' projects; GZ_SIM_RESOURCE_PATH must list their folders."""
ENABLED = {"own": "true", "ardupilot": "", "px4": ""}
"""Whether following begins at once: only Gazebo receives the commands for this package's drone."""
START_LOWER_M = 2.2
"""An autopilot takes off from the ground."""
NEEDS_STAND = {"follow_drone_rotors"}
STAND = "launch_stand"
"""It carries a drone whose rotors do not turn before the first command."""
STARTS = {"town_square": "3.0 7.99 2.5 -3.06", "park": "-15.64 5.16 2.5 -1.65"}
RECORDED = [
    "/camera/image_raw",
    "/camera/camera_info",
    "/ground_truth/labels_map",
    "/odom",
    f"/{SIMULATED_CMD_VEL}",
    "/segmentation/label_mask",
    "/hero/centroid",
    "/hero/position",
]

ARGUMENTS = [
    DeclareLaunchArgument(
        "world",
        default_value="town_square",
        description="town_square, park, or the path of an SDF file.",
    ),
    DeclareLaunchArgument(
        "dynamics",
        default_value="velocity",
        choices=sorted(DRONES),
        description="velocity: follows each command at once, without tilt; rotors: has motors and tilts in flight.",
    ),
    DeclareLaunchArgument(
        "vehicle",
        default_value="own",
        choices=["own", *sorted(AUTOPILOTS)],
        description="own: this package's drone; ardupilot, px4: their iris or x500, flown by their own simulator over "
        "MAVLink (docs/gazebo.md).",
    ),
    DeclareLaunchArgument(
        "start",
        default_value="",
        description="Where the drone starts: x y z in metres, yaw in radians. Empty: 5 m behind the hero.",
    ),
    DeclareLaunchArgument(
        "gui", default_value="false", choices=["true", "false"], description="Open Gazebo's window; else headless."
    ),
    DeclareLaunchArgument(
        "record",
        default_value="false",
        choices=["true", "false"],
        description="Record a bag with images, ground truth and what the nodes publish, for fcn-follow score-bag.",
    ),
    DeclareLaunchArgument("bag", default_value="gazebo_bag", description="Folder of that bag; must not exist."),
    *(DeclareLaunchArgument(name, **about) for name, about in NODE_ARGUMENTS.items()),
]


def find_world(world: str) -> Path:
    """The SDF file of a world's name or path. Raises RuntimeError with the known names."""
    own = SHARE / "worlds" / f"{world}.sdf"
    for path in (own, Path(world)):
        if path.is_file():
            return path.resolve()
    known = ", ".join(sorted(path.stem for path in (SHARE / "worlds").glob("*.sdf")))
    raise RuntimeError(f"world:={world}: there is no such world or file; the worlds are: {known}")


def gazebo_share() -> Path:
    """The share directory of ros_gz_sim. Raises RuntimeError with the packages to install."""
    for package in ("ros_gz_bridge", "ros_gz_sim"):
        try:
            share = Path(get_package_share_directory(package))
        except PackageNotFoundError:
            distro = os.environ.get("ROS_DISTRO", "jazzy")
            raise RuntimeError(
                f"{package} is missing; Gazebo and its bridge come with: sudo apt-get install ros-{distro}-ros-gz"
            ) from None
    return share


def start_pose(text: str, world: str, lower_m: float) -> list[str]:
    """The arguments of ros_gz_sim create for 'x y z yaw', or for the start of a world of fcn_follow, lower by lower_m.

    Raises RuntimeError for anything else.
    """
    lower_m = 0.0 if text else lower_m
    text = text or STARTS.get(world, "")
    if not text:
        raise RuntimeError(f"world:={world} has no default start; give one: start:='x y z yaw'")
    try:
        x, y, z, yaw = (float(part) for part in text.split())
    except ValueError:
        raise RuntimeError(f"start:='{text}': give four numbers, x y z in metres and yaw in radians") from None
    return ["-x", str(x), "-y", str(y), "-z", f"{z - lower_m:g}", "-Y", str(yaw)]


def spawn(model: str, name: str, start: list[str]) -> Node:
    """Put a model of fcn_follow into the world."""
    return Node(
        package="ros_gz_sim",
        executable="create",
        name=f"create_{name}",
        arguments=["-file", str(SHARE / "models" / model / "model.sdf"), "-name", name, *start],
        parameters=[{"use_sim_time": True}],
        output="screen",
    )


def make_everything(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Gazebo with the world, the drone, the bridge, the nodes, and optionally the recording."""
    value = {argument.name: context.launch_configurations[argument.name] for argument in ARGUMENTS}
    gazebo, world = gazebo_share(), find_world(value["world"])
    is_own = value["vehicle"] == "own"
    start = start_pose(value["start"], value["world"], 0.0 if is_own else START_LOWER_M)
    drone, vehicle_file = DRONES[value["dynamics"]] if is_own else AUTOPILOTS[value["vehicle"]]
    bridge = "bridge.yaml" if is_own else "bridge_autopilot.yaml"
    window = "" if value["gui"] == "true" else "-s --headless-rendering "
    sim_time = {"use_sim_time": True}
    vehicle = spawn(drone, "follow_drone", start)
    stand = spawn(STAND, STAND, start) if drone in NEEDS_STAND else None
    entities: list[LaunchDescriptionEntity] = [
        AppendEnvironmentVariable("GZ_SIM_RESOURCE_PATH", str(SHARE / "models")),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(gazebo / "launch" / "gz_sim.launch.py")),
            launch_arguments={"gz_args": f"-r {window}{world}", "on_exit_shutdown": "true"}.items(),
        ),
        *([stand, RegisterEventHandler(OnProcessExit(target_action=stand, on_exit=[vehicle]))] if stand else [vehicle]),
        Node(
            package="ros_gz_bridge",
            executable="parameter_bridge",
            name="gazebo_bridge",
            parameters=[{"config_file": str(SHARE / "config" / bridge)}, sim_time],
            output="screen",
            on_exit=required("bridge", [Shutdown(reason="the bridge has ended")]),
        ),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / "launch" / "follow.launch.py")),
            launch_arguments={
                "image": "camera/image_raw",
                "camera_info": "camera/camera_info",
                "vehicle_file": str(SHARE / "config" / vehicle_file),
                "use_sim_time": "true",
                "enabled": ENABLED[value["vehicle"]],
                "cmd_vel": SIMULATED_CMD_VEL if is_own else "",
                **{name: value[name] for name in NODE_ARGUMENTS},
            }.items(),
        ),
    ]
    if value["record"] == "true":
        entities.append(
            ExecuteProcess(
                cmd=["ros2", "bag", "record", "--use-sim-time", "-s", "mcap", "-o", value["bag"], *RECORDED],
                output="screen",
                on_exit=required("recording", [Shutdown(reason="the recording has ended")]),
            )
        )
    return entities


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=make_everything)])
