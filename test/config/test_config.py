"""config/follow.yaml, the parameter dataclasses, package.xml and setup.py say the same."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
import yaml
from ros_tools import ROOT

from fcn_follow.nodes.executables import NODES
from fcn_follow.nodes.player import PlayerParameters
from fcn_follow.nodes.segmenter import SegmenterParameters
from fcn_follow.nodes.simulator import SimulatorParameters
from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
from fcn_follow.parameters import walk_parameters, with_values
from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.flight import follower_parameters

DEFAULTS = {
    "segmenter": SegmenterParameters(),
    "follower": FollowerNodeParameters(),
    "player": PlayerParameters(),
    "simulator": SimulatorParameters(),
}
SIMULATOR_YAML = yaml.safe_load((ROOT / "config" / "simulator.yaml").read_text())
YAML = {
    **yaml.safe_load((ROOT / "config" / "follow.yaml").read_text()),
    "/**/simulator": SIMULATOR_YAML["/**/simulator"],
}


def flat(values: dict, prefix: str = "") -> dict:
    names = {}
    for name, value in values.items():
        names.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return names


@pytest.mark.parametrize("node", sorted(DEFAULTS))
def test_the_yaml_has_every_parameter_with_its_default_and_no_other(node):
    given = flat(YAML[f"/**/{node}"]["ros__parameters"])
    declared = {name: value for name, _, value in walk_parameters(DEFAULTS[node])}
    assert given == declared
    assert {name: type(value) for name, value in given.items()} == {k: type(v) for k, v in declared.items()}


def test_the_nodes_are_told_of_the_simulators_camera():
    """Pitch and place of the camera stand in three nodes' parameters; in the simulator's file they agree."""
    segmenter = with_values(SegmenterParameters(), flat(SIMULATOR_YAML["/**/segmenter"]["ros__parameters"]))
    follower = with_values(FollowerNodeParameters(), flat(SIMULATOR_YAML["/**/follower"]["ros__parameters"]))
    setup = CameraSetup()
    assert segmenter.ranging.camera_pitch_down_rad == setup.mount.pitch_down_rad
    assert follower.camera == follower_parameters(setup).camera
    assert SimulatorParameters().pitch_down_rad == setup.mount.pitch_down_rad


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
