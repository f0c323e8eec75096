"""The launch files: what they start, what may move without being enabled, what other machines receive.

Where launch is installed it starts the nodes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import KeyValue
from drawn_frames import write_frames, write_weights
from follower_rig import moves
from geometry_msgs.msg import PointStamped, TwistStamped
from nav_msgs.msg import Odometry
from ros_tools import ROOT, ended_cleanly, finish, interrupt, skip_without_launch, start_launch, wait_until
from sensor_msgs.msg import CameraInfo, Image

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.interlock import commands_stay_on_cmd_vel, enable_command, no_vehicle_hears
from fcn_follow.nodes.support.launching import number_of, required


@pytest.mark.parametrize(
    ("text", "stay"),
    [
        ("", True),
        ("/**/follower: {ros__parameters: {rate_hz: 50.0}}", True),
        ("/**/follower: {ros__parameters: {output: cmd_vel}}", True),
        ("/**/follower: {ros__parameters: {output: mavlink}}", False),
        ("/**: {ros__parameters: {output: px4}}", False),
        ("drone1: {follower: {ros__parameters: {output: mavros}}}", False),
        ("/follower: {ros__parameters: {output: }}", False),
    ],
)
def test_only_commands_on_cmd_vel_are_known_to_reach_no_vehicle(tmp_path, text, stay):
    (tmp_path / "mine.yaml").write_text(text)
    assert commands_stay_on_cmd_vel([ROOT / "config" / "simulator.yaml", tmp_path / "mine.yaml"]) is stay


@pytest.mark.parametrize("text", ["a: [", "\x00", "a: 2021-13-45", "[" * 3000, "a: &a [1]\nb: *a", "#" * 2**21])
def test_a_file_that_is_no_yaml_is_one_line(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml: cannot be read as a parameter file \(") as caught:
        commands_stay_on_cmd_vel([tmp_path / "mine.yaml"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "nobody"),
    [
        ({}, True),
        ({"source": "flight.mp4"}, True),
        ({"source": "0"}, False),
        ({"source": "/dev/video0"}, False),
        ({"source": "flight.mp4", "cmd_vel": "/robot/cmd_vel"}, False),
    ],
)
def test_a_camera_and_another_topic_may_be_a_vehicles(arguments, nobody):
    assert no_vehicle_hears([ROOT / "config" / "follow.yaml"], **arguments) is nobody


def test_the_command_that_enables_has_the_namespace():
    assert enable_command() == 'ros2 service call /follower/enable std_srvs/srv/SetBool "{data: true}"'
    assert "/a/b/follower/enable " in enable_command("a/b")
    assert "/a/follower/enable " in enable_command("/a/")


def test_a_node_that_fails_fails_the_launch_and_one_that_ends_ends_it():
    handler = required("segmenter", ["shutdown"])
    assert handler(SimpleNamespace(returncode=0), None) == ["shutdown"]
    with pytest.raises(RuntimeError, match="the segmenter has ended with exit code 1"):
        handler(SimpleNamespace(returncode=1), None)


def test_a_launch_argument_that_must_be_a_number_is_named():
    assert number_of({"rate": "2.5"}, "rate") == 2.5
    for text in ("fast", "nan", "inf", ""):
        with pytest.raises(RuntimeError, match=f"rate:='{text}' is not allowed; it must be a number"):
            number_of({"rate": text}, "rate")


def test_gazebo_has_no_vehicle_to_move_but_those_of_autopilots():
    tree = ast.parse((ROOT / "launch" / "gazebo.launch.py").read_text(encoding="utf-8"))
    constants = {
        key.value: value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    }
    assert [constants[vehicle] for vehicle in ("own", "ardupilot", "px4")] == ["true", "", ""]


MINE = "/**/follower: {ros__parameters: {output: mavlink}}"


@pytest.mark.parametrize(
    ("arguments", "start_enabled", "profile"),
    [
        ({}, None, "fastdds_large_images.xml"),
        ({"enabled": "true"}, True, "fastdds_large_images.xml"),
        ({"network": "false"}, None, "fastdds_this_machine.xml"),
        ({"source": "frames.zip"}, True, "fastdds_large_images.xml"),
        ({"source": "frames.zip", "enabled": "false"}, False, "fastdds_large_images.xml"),
        ({"source": "frames.zip", "cmd_vel": "/robot/cmd_vel"}, None, "fastdds_large_images.xml"),
        ({"source": "0"}, None, "fastdds_large_images.xml"),
        ({"source": "/dev/video2"}, None, "fastdds_large_images.xml"),
        ({"source": "0", "enabled": "true"}, True, "fastdds_large_images.xml"),
        ({"source": "frames.zip", "params_file": MINE}, None, "fastdds_large_images.xml"),
        ({"simulator": "true"}, True, "fastdds_this_machine.xml"),
        ({"simulator": "true", "network": "true"}, True, "fastdds_large_images.xml"),
        ({"simulator": "true", "cmd_vel": "/robot/cmd_vel"}, None, "fastdds_this_machine.xml"),
    ],
    ids=str,
)
def test_nothing_with_a_vehicle_moves_until_it_is_enabled(arguments, start_enabled, profile, tmp_path, monkeypatch):
    launch, context, given, entities = launched(arguments, tmp_path, monkeypatch)
    assert given["follower"]["parameters"][-1].get("start_enabled") is start_enabled
    said = "".join(part.text for e in entities if isinstance(e, launch.actions.LogInfo) for part in e.msg)
    assert ("/drone1/follower/enable" in said) is (start_enabled is not True)
    for entity in entities:
        if isinstance(entity, launch.actions.SetEnvironmentVariable):
            entity.execute(context)
    assert context.environment["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith(profile)


@pytest.mark.parametrize(
    ("arguments", "topic"),
    [
        ({}, "cmd_vel"),
        ({"enabled": "true"}, "cmd_vel"),
        ({"source": "0"}, "cmd_vel"),
        ({"source": "frames.zip", "params_file": MINE}, "cmd_vel"),
        ({"simulator": "true", "vehicle": "odom"}, "cmd_vel"),
        ({"source": "frames.zip", "cmd_vel": "/robot/cmd_vel"}, "/robot/cmd_vel"),
        ({"source": "frames.zip"}, "simulated/cmd_vel"),
        ({"simulator": "true"}, "simulated/cmd_vel"),
    ],
    ids=str,
)
def test_what_follows_at_once_does_so_on_a_topic_that_no_vehicle_hears(arguments, topic, tmp_path, monkeypatch):
    _, _, given, _ = launched(arguments, tmp_path, monkeypatch)
    for node in {"follower", "simulator"} & given.keys():
        assert dict(given[node]["remappings"])["cmd_vel"] == topic
    assert (given["follower"]["parameters"][-1].get("start_enabled") is True) == (
        topic == "simulated/cmd_vel" or arguments.get("enabled") == "true"
    )


@pytest.mark.parametrize("segmenter", ["true", "false"])
def test_a_segmenter_of_a_fleet_is_not_started_again(segmenter, tmp_path, monkeypatch):
    _, _, given, _ = launched({"segmenter": segmenter}, tmp_path, monkeypatch)
    assert ("segmenter" in given, "follower" in given) == (segmenter == "true", True)


@pytest.mark.parametrize(
    "arguments", [{"params_file": MINE}, {"vehicle_file": MINE}, {"params_file": MINE, "enabled": "true"}]
)
def test_the_simulator_is_flown_by_cmd_vel_alone(arguments, tmp_path, monkeypatch):
    """With another output it would wait for commands for ever."""
    with pytest.raises(UserError, match="the simulator needs output cmd_vel"):
        launched({"simulator": "true", **arguments}, tmp_path, monkeypatch)


def test_the_file_of_the_vehicle_comes_after_that_of_the_simulator(tmp_path, monkeypatch):
    (tmp_path / "vehicle.yaml").write_text("/**: {ros__parameters: {camera: {x_m: 0.2}}}")
    vehicle_file = str(tmp_path / "vehicle.yaml")
    _, _, given, _ = launched({"simulator": "true", "vehicle_file": vehicle_file}, tmp_path, monkeypatch)
    for node in ("segmenter", "follower", "simulator"):
        files = [each for each in given[node]["parameters"] if isinstance(each, str)]
        assert [each.rpartition("/")[2] for each in files] == ["follow.yaml", "simulator.yaml", "vehicle.yaml"]


@pytest.mark.parametrize("vehicle", ["mavlink", "odom"])
def test_another_simulator_flies_the_drone_of_the_simulator(vehicle, tmp_path, monkeypatch):
    """Not by cmd_vel, and not before it is enabled."""
    arguments = {"simulator": "true", "vehicle": vehicle, "vehicle_file": MINE}
    _, _, given, _ = launched(arguments, tmp_path, monkeypatch)
    files = [each.rpartition("/")[2] for each in given["follower"]["parameters"] if isinstance(each, str)]
    own = ["simulator_mavlink.yaml"] if vehicle == "mavlink" else []
    assert files == ["follow.yaml", "simulator.yaml", *own, "mine.yaml"]
    assert given["simulator"]["parameters"][-1]["vehicle"].value == vehicle
    assert "start_enabled" not in given["follower"]["parameters"][-1]


def launched(arguments, tmp_path, monkeypatch):
    """follow.launch.py with these arguments: launch, its context, the options of each node, the other entities."""
    skip_without_launch()
    import launch
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch_ros.actions import Node

    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    given = {}
    monkeypatch.setattr(Node, "__init__", lambda self, **options: given.update({options["name"]: options}))
    (tmp_path / "mine.yaml").write_text(MINE)
    mine = str(tmp_path / "mine.yaml")
    arguments = {name: mine if value == MINE else value for name, value in arguments.items()}
    description = get_launch_description_from_python_launch_file(str(ROOT / "launch" / "follow.launch.py"))
    context = launch.LaunchContext()
    context.launch_configurations.update({"namespace": "drone1", **arguments})
    for entity in description.entities:
        if isinstance(entity, launch.actions.DeclareLaunchArgument):
            entity.execute(context)
    (function,) = (e for e in description.entities if isinstance(e, launch.actions.OpaqueFunction))
    return launch, context, given, function.execute(context)


@pytest.fixture
def listen(ros) -> Callable[[dict[str, type]], tuple[dict[str, list[Any]], Callable[[], None]]]:
    """Subscribe to topics: what is received, and the function that receives it."""

    def subscribe(topics: dict[str, type]) -> tuple[dict[str, list[Any]], Callable[[], None]]:
        node = rclpy.create_node("listener")
        received: dict[str, list[Any]] = {topic: [] for topic in topics}
        for topic, kind in topics.items():
            node.create_subscription(kind, topic, received[topic].append, 10)
        return received, lambda: rclpy.spin_once(node, timeout_sec=0.05)

    return subscribe


def test_the_launch_follows_the_frames_of_a_source_and_ends_with_them(listen, domain_id, tmp_path):
    skip_without_launch()
    frames = write_frames(tmp_path / "run", 40, masks=False)
    weights = write_weights(tmp_path / "everywhere.safetensors", hero_everywhere=True)
    (tmp_path / "mine.yaml").write_text("/**/segmenter: {ros__parameters: {engine: torch}}")
    launch = start_launch(
        "follow", domain_id, tmp_path / "prefix", namespace="drone1", source=frames, rate=10.0, weights=weights,
        vehicle_file=tmp_path / "mine.yaml",
    )  # fmt: skip
    received, spin = listen({
        "/drone1/image_raw": Image, "/drone1/camera_info": CameraInfo, "/drone1/segmentation/label_mask": Image,
        "/drone1/hero/position": PointStamped, "/drone1/follow/state": KeyValue,
        "/drone1/simulated/cmd_vel": TwistStamped,
    })  # fmt: skip
    assert wait_until(lambda: launch.poll() is not None, spin, 120.0)
    output = finish(launch)
    assert launch.returncode == 0, output
    assert all(received.values()), {topic: len(messages) for topic, messages in received.items()}
    assert "tracking" in {state.key for state in received["/drone1/follow/state"]}
    commands = received["/drone1/simulated/cmd_vel"]
    assert any(map(moves, commands)) and not moves(commands[-1])
    assert "Traceback" not in output
    ended = ended_cleanly(output)
    assert ended[0] == "player" and set(ended) == {"segmenter", "follower", "player"}


def test_the_launch_flies_in_the_simulator_until_ctrl_c(listen, domain_id, tmp_path):
    skip_without_launch()
    weights = write_weights(tmp_path / "nowhere.safetensors")
    (tmp_path / "mine.yaml").write_text("/**/segmenter: {ros__parameters: {engine: torch}}")
    launch = start_launch(
        "follow", domain_id, tmp_path / "prefix", simulator="true", weights=weights, vehicle_file=tmp_path / "mine.yaml"
    )
    received, spin = listen({
        "image_raw": Image, "odom": Odometry, "segmentation/label_mask": Image, "ground_truth/label_mask": Image,
        "hero/centroid": PointStamped, "follow/state": KeyValue, "simulated/cmd_vel": TwistStamped,
    })  # fmt: skip
    assert wait_until(lambda: all(received.values()), spin, 120.0), received.keys()
    output = interrupt(launch, 60.0)
    assert launch.returncode in (0, 1), output  # 1 is launch's code of Ctrl-C
    assert "Traceback" not in output
    assert set(ended_cleanly(output)) == {"segmenter", "follower", "simulator"}
