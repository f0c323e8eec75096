"""Play a bag into the live segmenter and score what it publishes.

ros2 launch fcn_follow replay.launch.py bag:=flight weights:=hero_net.safetensors record:=replayed
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.events import Shutdown as ShutdownEvent
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from fcn_follow.nodes.support.launching import number_of, required
from fcn_follow.share import dds_environment, share_directory

SHARE = share_directory()
DRAIN_S = 3.0  # for the last masks after the end of the bag

ARGUMENTS = [
    DeclareLaunchArgument("bag", description="The rosbag2 (or folder or zip of frames with masks) to play."),
    DeclareLaunchArgument(
        "weights",
        default_value="",
        description="Weights file (.safetensors), or a file that fcn-follow export made from it (.onnx, .xml). "
        "Empty: the package's hero_net.",
    ),
    DeclareLaunchArgument(
        "rate", default_value="1.0", description="Speed, as in ros2 bag play; 2.0 is twice as fast as recorded."
    ),
    DeclareLaunchArgument("image_topic", default_value="", description="The camera's topic in a bag with several."),
    DeclareLaunchArgument("record", default_value="", description="Record all topics to this new bag. Empty: do not."),
    DeclareLaunchArgument(
        "report", default_value="", description="Folder for live.json and live.csv at the end. Empty: none."
    ),
    DeclareLaunchArgument("device", default_value="auto", description="auto, cpu or cuda."),
    DeclareLaunchArgument(
        "engine",
        default_value="",
        description="Engine of the network; for exact agreement, that of score-bag's --engine. "
        "Empty: torch, which is score-bag's default, or auto for an exported file.",
    ),
    DeclareLaunchArgument(
        "precision",
        default_value="fp32",
        description="Precision; for exact agreement, that of score-bag's --precision.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "follow.yaml"),
        description="YAML file with the parameters of all nodes.",
    ),
]


def make_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Player, segmenter and scorer; the launch ends a little after the player."""
    value = {argument.name: context.launch_configurations[argument.name] for argument in ARGUMENTS}

    def path(name: str) -> ParameterValue:
        text = str(Path(value[name]).expanduser().resolve()) if value[name] else ""
        return ParameterValue(text, value_type=str)

    def node(name: str, parameters: dict, *, simulated_time: bool = True, on_exit: list | None = None) -> Node:
        return Node(
            package="fcn_follow",
            executable=name,
            name=name,
            parameters=[value["params_file"], {"use_sim_time": simulated_time}, parameters],
            output="screen",
            sigterm_timeout="30",  # for the scorer's report on a busy machine
            on_exit=required(name, on_exit or [Shutdown(reason=f"the {name} has ended")]),
        )

    exported = Path(value["weights"]).suffix not in ("", ".safetensors")
    value["engine"] = value["engine"] or ("auto" if exported else "torch")
    segmenter = {name: ParameterValue(value[name], value_type=str) for name in ("device", "engine", "precision")}
    subscribers = 2 if value["record"] else 1
    player = {
        "source": path("bag"),
        "speed": ParameterValue(number_of(value, "rate"), value_type=float),
        "image_topic": ParameterValue(value["image_topic"], value_type=str),
        "clock": True,
        "wait_for_subscribers": subscribers,  # segmenter and recorder
        "wait_for_mask_subscribers": subscribers,  # scorer and recorder
        "wait_for_subscriber_s": 120.0,
    }

    ended = TimerAction(period=DRAIN_S, actions=[EmitEvent(event=ShutdownEvent(reason="the bag has been played"))])
    nodes = [
        node("scorer", {"weights": path("weights"), "report": path("report")}),
        node("segmenter", {"weights": path("weights"), "reliability": "reliable", **segmenter}),
        node("player", player, simulated_time=False, on_exit=[ended]),
    ]
    if value["record"]:
        nodes.insert(0, node("recorder", {"out": path("record")}, simulated_time=False))
    return nodes


def generate_launch_description() -> LaunchDescription:
    profile = [SetEnvironmentVariable(name, value) for name, value in dds_environment(network=True).items()]
    return LaunchDescription([*ARGUMENTS, *profile, OpaqueFunction(function=make_nodes)])
