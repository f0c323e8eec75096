"""Segmenter and follower on a camera's topics, optionally with a player or the simulator as the camera.

ros2 launch fcn_follow follow.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from fcn_follow.nodes.support.interlock import SIMULATED_CMD_VEL, enable_command, no_vehicle_hears, require_cmd_vel
from fcn_follow.nodes.support.launching import NODE_ARGUMENTS, number_of, required
from fcn_follow.share import dds_environment, share_directory

SHARE = share_directory()

ARGUMENTS = [
    DeclareLaunchArgument(
        "image",
        default_value="image_raw",
        description="Image topic; if it ends with /compressed, the images are JPEG or PNG.",
    ),
    DeclareLaunchArgument("camera_info", default_value="camera_info", description="CameraInfo topic of that camera."),
    *(DeclareLaunchArgument(name, **about) for name, about in NODE_ARGUMENTS.items()),
    DeclareLaunchArgument(
        "vehicle_file",
        default_value="",
        description="YAML file read last, for the parameters of this drone and its camera. Empty: none.",
    ),
    DeclareLaunchArgument(
        "namespace", default_value="", description="Namespace of all nodes and topics, such as drone1."
    ),
    DeclareLaunchArgument(
        "segmenter",
        default_value="true",
        choices=["true", "false"],
        description="false: the executable segmenters runs the segmenters of several drones, this one included.",
    ),
    DeclareLaunchArgument(
        "cmd_vel",
        default_value="",
        description=f"Topic of the velocity commands. Empty: {SIMULATED_CMD_VEL}, which no vehicle hears, with "
        "simulator:=true or a recording as source:=...; else cmd_vel.",
    ),
    DeclareLaunchArgument(
        "cmd_vel_type",
        default_value="",
        description="twist_stamped or twist (geometry_msgs). Empty: the value of the parameter file.",
    ),
    DeclareLaunchArgument(
        "enabled",
        default_value="",
        choices=["", "true", "false"],
        description="Follow as soon as a hero is seen. Empty: yes with simulator:=true or a recording as source:=... "
        f"if commands go only to {SIMULATED_CMD_VEL}; else the value of the parameter file, which waits for the "
        "service ~/enable.",
    ),
    DeclareLaunchArgument(
        "network",
        default_value="",
        choices=["", "true", "false"],
        description="Let other machines receive the topics and command the nodes. Empty: not with simulator:=true.",
    ),
    DeclareLaunchArgument("odom", default_value="odom", description="Odometry topic of the drone; optional."),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Use the time of /clock, for a simulator or a bag played with --clock.",
    ),
    DeclareLaunchArgument(
        "source",
        default_value="",
        description="Play this as the camera: folder or zip of frames, video, rosbag2 folder, or camera number; "
        "the launch ends with it. Empty: no player; a camera driver publishes the images.",
    ),
    DeclareLaunchArgument(
        "simulator",
        default_value="false",
        choices=["true", "false"],
        description="Fly in the embedded simulator, which replaces camera and drone.",
    ),
    DeclareLaunchArgument(
        "scenario", default_value="tour", description="The simulator's scenario; fcn-follow fly --list shows all."
    ),
    DeclareLaunchArgument(
        "vehicle",
        default_value="internal",
        choices=["internal", "mavlink", "odom"],
        description="With simulator:=true, what flies the drone. internal: this simulator; mavlink, odom: another one, "
        "whose pose comes by MAVLink or on the odometry topic.",
    ),
    DeclareLaunchArgument("report", default_value="", description="Folder for the simulator's flight report."),
    DeclareLaunchArgument(
        "rate", default_value="0.0", description="Frame rate of the player in Hz. 0: as in the source's stamps."
    ),
    DeclareLaunchArgument(
        "loop", default_value="false", choices=["true", "false"], description="Play again and again."
    ),
]


def make_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes, with the values of the launch arguments; an empty argument leaves the parameter file's value."""
    value = {argument.name: context.launch_configurations[argument.name] for argument in ARGUMENTS}

    def text(name: str) -> ParameterValue:
        return ParameterValue(value[name], value_type=str)

    simulated = value["simulator"] == "true"
    if value["vehicle"] != "internal" and not simulated:
        raise RuntimeError("vehicle:= needs the simulator; add simulator:=true")
    own_files = ["simulator.yaml"] if simulated else []
    if simulated and value["vehicle"] == "mavlink":
        own_files.append("simulator_mavlink.yaml")
    own_paths = [str(SHARE / "config" / name) for name in own_files]
    params_files = [Path(path) for path in (value["params_file"], *own_paths, value["vehicle_file"]) if path]
    if simulated and value["vehicle"] == "internal":
        require_cmd_vel(params_files)

    camera = [("image_raw", value["image"].removesuffix("/compressed")), ("camera_info", value["camera_info"])]
    segmenter = {name: text(name) for name in ("weights", "device") if value[name]}
    if value["image"].endswith("/compressed"):
        segmenter["image_transport"] = "compressed"
    follower = {"cmd_vel.type": text("cmd_vel_type")} if value["cmd_vel_type"] else {}
    camera_is_replaced = (simulated and value["vehicle"] == "internal") or value["source"] != ""
    unheard = camera_is_replaced and no_vehicle_hears(params_files, value["source"], value["cmd_vel"])
    cmd_vel = value["cmd_vel"] or (SIMULATED_CMD_VEL if unheard else "cmd_vel")
    if value["enabled"] or unheard:
        follower["start_enabled"] = value["enabled"] != "false"
    player = {
        "source": text("source"),
        "rate_hz": ParameterValue(number_of(value, "rate"), value_type=float),
        "loop": value["loop"] == "true",
    }

    logger_prefix = "".join(part + "." for part in value["namespace"].split("/") if part)

    def node(name: str, parameters: dict, remappings: list[tuple[str, str]]) -> Node:
        return Node(
            package="fcn_follow",
            executable=name,
            name=name,
            namespace=value["namespace"],
            parameters=[*map(str, params_files), {"use_sim_time": value["use_sim_time"] == "true"}, parameters],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", f"{logger_prefix}{name}:={value['log_level']}"],
            output="screen",
            on_exit=required(name, [Shutdown(reason=f"the {name} has ended")]),
        )

    profile = dds_environment(network=value["network"] == "true" or (value["network"] == "" and not simulated))
    nodes = [
        *(SetEnvironmentVariable(name, setting) for name, setting in profile.items()),
        *([node("segmenter", segmenter, camera)] if value["segmenter"] == "true" else []),
        node("follower", follower, [("cmd_vel", cmd_vel), ("odom", value["odom"])]),
    ]
    if simulated:
        simulator = {"clock": value["use_sim_time"] == "true"}
        simulator |= {name: text(name) for name in ("scenario", "vehicle", "report")}
        if value["cmd_vel_type"]:
            simulator["cmd_vel_type"] = text("cmd_vel_type")
        nodes.append(node("simulator", simulator, [*camera, ("cmd_vel", cmd_vel), ("odom", value["odom"])]))
    elif value["source"]:
        nodes.append(node("player", player, camera))
    if not follower.get("start_enabled"):
        command = enable_command(value["namespace"])
        nodes.append(LogInfo(msg=f"Commands are zero until the follower is enabled, by start_enabled or: {command}"))
    return nodes


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=make_nodes)])
