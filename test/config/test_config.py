"""config/follow.yaml, the parameter dataclasses, package.xml and setup.py say the same."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Container

import pytest
import yaml
from command_line import invoke
from ros_tools import ROOT

from fcn_follow.nodes.executables import NODES
from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.support.player_parameters import PlayerParameters
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.simulator_parameters import SimulatorParameters
from fcn_follow.parameters import walk_parameters, with_values
from fcn_follow.shared_parameters import SHARED_NAMES
from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.flight import follower_parameters

DEFAULTS = {
    "segmenter": SegmenterParameters(),
    "follower": FollowerNodeParameters(),
    "player": PlayerParameters(),
    "simulator": SimulatorParameters(),
}
SIMULATOR_YAML = yaml.safe_load((ROOT / "config" / "simulator.yaml").read_text())
YAML = yaml.safe_load((ROOT / "config" / "follow.yaml").read_text())


def flat(values: dict, prefix: str = "") -> dict:
    names = {}
    for name, value in values.items():
        names.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return names


def section(tree: dict, name: str, names: Container[str] | None = None) -> dict:
    """The parameters of a section by their dotted names, or some of them."""
    given = flat(tree[name]["ros__parameters"])
    return {key: value for key, value in given.items() if names is None or key in names}


@pytest.mark.parametrize("node", sorted(DEFAULTS))
def test_the_yaml_has_every_parameter_with_its_default_and_no_other(node):
    declared = {name: value for name, _, value in walk_parameters(DEFAULTS[node])}
    given = section(YAML, "/**", SHARED_NAMES & declared.keys()) | section(YAML, f"/**/{node}")
    assert given == declared
    assert not SHARED_NAMES & section(YAML, f"/**/{node}").keys()
    assert {name: type(value) for name, value in given.items()} == {k: type(v) for k, v in declared.items()}


def test_the_nodes_know_the_simulators_camera():
    """The camera's mount stands once in the simulator's file, and it is that of the simulator."""
    shared = section(SIMULATOR_YAML, "/**")
    segmenter = with_values(SegmenterParameters(), shared)
    follower = with_values(FollowerNodeParameters(), shared | section(SIMULATOR_YAML, "/**/follower"))
    setup = CameraSetup()
    assert segmenter.camera.pitch_down_rad == setup.mount.pitch_down_rad
    assert follower.camera == follower_parameters(setup).camera
    assert follower.vehicle == follower_parameters(setup).vehicle
    simulated = with_values(SimulatorParameters(), shared).camera
    assert (simulated.mount, simulated.stabilised) == (setup.mount, setup.stabilised)


def test_the_simulator_and_the_follower_have_a_mavlink_address_each():
    tree = yaml.safe_load((ROOT / "config" / "simulator_mavlink.yaml").read_text())
    simulator = with_values(SimulatorParameters(), section(tree, "/**/simulator"))
    follower = with_values(FollowerNodeParameters(), section(tree, "/**/follower"))
    assert (simulator.vehicle, follower.output) == ("mavlink", "mavlink")
    assert simulator.mavlink.address != follower.mavlink.address
    assert simulator.mavlink.system_id != follower.mavlink.system_id
    assert follower.vehicle.response_s == FollowerNodeParameters().vehicle.response_s, "an autopilot's, not ours"


@pytest.mark.parametrize(
    "name", ["follow", "simulator", "simulator_mavlink", "gazebo", "gazebo_rotors", "gazebo_ardupilot", "gazebo_px4"]
)
def test_what_nodes_share_stands_in_the_section_of_all_nodes_alone(name):
    tree = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    assert list(tree)[-1] == "/**", "a value of the command line (-p) is one of /**, and the last section wins"
    for node, parameters in tree.items():
        given = flat(parameters["ros__parameters"]).keys()
        assert given <= SHARED_NAMES if node == "/**" else not given & SHARED_NAMES


def test_the_file_of_all_parameters_is_what_the_command_prints():
    printed, _ = invoke("parameters")
    assert (ROOT / "config" / "follow.yaml").read_text() == printed
    assert max(map(len, printed.splitlines())) <= 120


@pytest.mark.parametrize("node", sorted(DEFAULTS))
def test_every_parameter_is_described(node):
    for name, info, _ in walk_parameters(DEFAULTS[node]):
        assert len(info.description) > 5, name
        for unit in ("_m", "_s", "_rad", "_hz", "_px", "_deg"):
            if name.endswith(unit):
                assert info.unit, name


def test_package_xml_is_one_that_colcon_takes():
    """A comment with two hyphens or an address of the wrong form makes colcon build a plain Python package."""
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3"
    assert package.findtext("name") == "fcn_follow"
    assert package.findtext("license") == "Apache-2.0"
    assert package.findtext("export/build_type") == "ament_python"
    maintainer = package.find("maintainer")
    address = r"[-a-zA-Z0-9_%+]+(\.[-a-zA-Z0-9_%+]+)*@[-a-zA-Z0-9%]+(\.[-a-zA-Z0-9%]+)*\.[a-zA-Z]{2,}"
    assert re.fullmatch(address, maintainer.get("email"))


def test_versions_and_executables_agree():
    setup = (ROOT / "setup.py").read_text()
    version = ElementTree.parse(ROOT / "package.xml").getroot().findtext("version")
    assert f'version="{version}"' in setup
    assert f'__version__ = "{version}"' in (ROOT / "fcn_follow" / "__init__.py").read_text()
    for node in NODES:
        assert f'"{node} = fcn_follow.nodes.executables:{node}"' in setup


def test_every_ros_package_that_is_imported_is_a_dependency():
    named = {d.text for d in ElementTree.parse(ROOT / "package.xml").getroot() if d.tag.endswith("depend")}
    for path in (ROOT / "fcn_follow").rglob("*.py"):
        for package in re.findall(
            r"^(?:from|import) (\w+_msgs|std_srvs|rclpy|\w+_interfaces)\b", path.read_text(), re.M
        ):
            assert package in named, f"{path}: {package} is missing in package.xml"


@pytest.mark.parametrize(
    ("node", "at_start"),
    [
        (
            "segmenter",
            {"weights", "device", "engine", "precision", "threads", "image_transport", "reliability", "autostart"}
            | {"hero.selection", "hero.appearance_file"},
        ),
        (
            "follower",
            {"output", "start_enabled", "rate_hz", "reliability", "cmd_vel.type", "cmd_vel.frame_id", "mavros.topic"}
            | {
                "mavros.node",
                "mavros.frame",
                "mavlink.address",
                "mavlink.baud",
                "mavlink.target_system",
                "mavlink.system_id",
            }
            | {"mavlink.heartbeat_timeout_s"},
        ),
        ("player", {name for name, _, _ in walk_parameters(PlayerParameters())}),
    ],
)
def test_what_is_fixed_at_start(node, at_start):
    assert {name for name, info, _ in walk_parameters(DEFAULTS[node]) if info.read_only} == at_start


@pytest.mark.parametrize("node", list(DEFAULTS))
def test_no_description_promises_a_meaning_of_an_empty_text_that_is_refused(node):
    promised = [(name, value) for name, info, value in walk_parameters(DEFAULTS[node]) if "empty:" in info.description]
    assert all(value == "" for _, value in promised), promised
