"""Gazebo's files: what is committed is what the command makes, it holds to SDF and to itself, and the topics agree."""

from __future__ import annotations

import ast
import copy
import filecmp
import importlib.util
import itertools
import math
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sdf_rules
import yaml
from command_line import fcn_follow, process
from ros_tools import skip_without_launch

from fcn_follow.gazebo.assets import SEED
from fcn_follow.gazebo.elements import LABEL_HERO, PLUGINS
from fcn_follow.gazebo.people import WAYPOINT_S, everybody, person_meshes
from fcn_follow.gazebo.wavefront import vertex_normals
from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.support.interlock import SIMULATED_CMD_VEL
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.parameters import with_values
from fcn_follow.simulation.shapes import ellipsoid
from fcn_follow.simulation.town import town_of

ROOT = Path(__file__).resolve().parents[2]
MODELS, WORLDS = ROOT / "models", ROOT / "worlds"
DOCUMENTS = sorted([*WORLDS.glob("*.sdf"), *MODELS.glob("*/model.sdf")])
DRONES = [MODELS / name / "model.sdf" for name in ("follow_drone", "follow_drone_rotors")]
AUTOPILOTS = {"ardupilot": MODELS / "follow_iris" / "model.sdf", "px4": MODELS / "follow_x500" / "model.sdf"}
FOREIGN = ("iris_with_gimbal", "x500")
"""Models of the autopilots' own projects."""
SIZE_LIMIT_BYTES = 5_000_000
STEP_S = float(ElementTree.parse(WORLDS / "town_square.sdf").findtext(".//physics/max_step_size"))

specified = pytest.mark.skipif(
    not sdf_rules.SPECIFICATION.is_dir(), reason="needs SDF 1.9's description: apt-get install libsdformat-dev"
)


def load(path):
    return ElementTree.parse(path).getroot()


def named(path):
    return f"{path.parent.name}/{path.name}"


def faults(document):
    return [
        *sdf_rules.bad_actors(document),
        *sdf_rules.unstable_joints(document, STEP_S),
        *sdf_rules.unbalanced_drones(document),
        *sdf_rules.mismatched_frames(document),
        *(
            fault
            for fault in sdf_rules.unresolved_uris(document, MODELS)
            if fault not in {f"model://{name}: there is no such file" for name in FOREIGN}
        ),
        *sdf_rules.mismatched_plugins(document, PLUGINS),
        *sdf_rules.bad_labels(document),
        *sdf_rules.unphysical_inertias(document),
    ]


def test_the_command_makes_what_is_committed(tmp_path):
    done = process("gazebo-assets", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for part in ("models", "worlds"):
        made = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out" / part).rglob("*") if path.is_file()}
        there = {path.relative_to(ROOT) for path in (ROOT / part).rglob("*") if path.is_file()}
        assert made == there
        texts = [name for name in made if name.suffix != ".jpg"]  # JPEG differs by a level between library versions
        assert [name for name in texts if not filecmp.cmp(tmp_path / "out" / name, ROOT / name, shallow=False)] == []
    assert not list((tmp_path / "out").glob(".gazebo-*"))
    size = sum(path.stat().st_size for part in (MODELS, WORLDS) for path in part.rglob("*") if path.is_file())
    assert size < SIZE_LIMIT_BYTES


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("mine")
    done = fcn_follow("gazebo-assets", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert "Not a directory" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("ign") is None, reason="needs ign sdf: apt-get install ignition-tools libsdformat-dev")
@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_sdformat_accepts(path, tmp_path):
    """A body with the names of PX4's and ArduPilot's stands for their models."""
    for name in FOREIGN:
        (tmp_path / name).mkdir()
        config = (MODELS / "launch_stand" / "model.config").read_text().replace("launch_stand", name)
        (tmp_path / name / "model.config").write_text(config)
        body = f'<sdf version="1.9"><model name="{name}"><link name="base_link"/></model></sdf>'
        (tmp_path / name / "model.sdf").write_text(body)
    environment = {**os.environ, "SDF_PATH": f"{MODELS}:{tmp_path}"}
    done = subprocess.run(["ign", "sdf", "-k", str(path)], capture_output=True, text=True, env=environment)
    assert "Valid." in done.stdout, done.stdout + done.stderr


@specified
@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_name_is_in_the_specification(path):
    assert list(sdf_rules.unknown_names(load(path))) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_document_holds_to_the_rules(path):
    assert faults(load(path)) == []


def test_every_mesh_finds_its_materials_and_textures():
    assert list(sdf_rules.unresolved_textures(MODELS)) == []


def broken(tag, change, path=DRONES[1]):
    document = copy.deepcopy(load(path))
    change(next(document.iter(tag)))
    return document


def set_text(text):
    return lambda element: setattr(element, "text", text)


def by_force(p_gain, d_gain):
    """A drone whose camera joint has a controller by force."""

    def change(plugin):
        plugin.remove(plugin.find("use_velocity_commands"))
        ElementTree.SubElement(plugin, "p_gain").text = p_gain
        ElementTree.SubElement(plugin, "d_gain").text = d_gain

    document = load(DRONES[0])
    change(document.find(".//plugin[@filename='gz-sim-joint-position-controller-system']"))
    return document


def labels_in(frame):
    document = load(DRONES[0])
    document.find(".//sensor[@type='segmentation']/gz_frame_id").text = frame
    return document


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (broken("plugin", lambda e: e.set("name", "gz::sim::systems::Physics")), "Physics is not in it"),
        (broken("ixx", set_text("5")), "no body has mass"),
        (broken("mass", set_text("-1")), "no body has mass"),
        (broken("label", set_text("256"), MODELS / "hero" / "model.sdf"), "label 256"),
        (broken("uri", set_text("model://hero/meshes/heroine.obj"), MODELS / "hero" / "model.sdf"), "no such file"),
        (broken("uri", set_text("file:///hero.obj"), MODELS / "hero" / "model.sdf"), "not a model://"),
        (broken("time", set_text("9"), WORLDS / "town_square.sdf"), "do not rise"),
        (broken("actor", lambda e: e.remove(e.find("skin")), WORLDS / "town_square.sdf"), "no skin"),
        (broken("actor", lambda e: e.remove(e.find("plugin")), WORLDS / "town_square.sdf"), "no label of its own"),
        (broken("filename", set_text("model://hero/hero.obj"), WORLDS / "town_square.sdf"), "no such file"),
        (broken("effort", set_text("0")), "without a limit of the effort"),
        (by_force("0.5", "0.02"), "takes 2.0 times the speed in one step"),
        (broken("mass", set_text("2.0")), "centre of mass is not in the middle"),
        (labels_in("camera_link"), "labels are in frame camera_link"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_document_is_refused(document, fault):
    assert any(fault in line for line in faults(document))


@specified
def test_unknown_names_are_refused():
    document = broken("camera", lambda e: ElementTree.SubElement(e, "colour_depth"))
    assert list(sdf_rules.unknown_names(document)) == ["camera: unknown element colour_depth"]
    document = broken("link", lambda e: e.set("weight", "3"))
    assert list(sdf_rules.unknown_names(document)) == ["link: unknown attribute weight"]


def test_a_mesh_without_its_texture_is_refused(tmp_path):
    shutil.copytree(MODELS / "tree_leaf", tmp_path / "tree_leaf")
    (tmp_path / "tree_leaf" / "meshes" / "bark.jpg").unlink()
    assert list(sdf_rules.unresolved_textures(tmp_path)) == ["tree_leaf.mtl: no texture bark.jpg"]


def bridged():
    return yaml.safe_load((ROOT / "config" / "bridge.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DRONES, ids=named)
def test_the_bridge_carries_each_topic_of_the_drone_and_no_other(path):
    carried = {entry["gz_topic_name"]: entry["gz_type_name"] for entry in bridged()}
    assert carried.pop("/clock") == "gz.msgs.Clock"
    assert carried == sdf_rules.gazebo_topics(load(path))


def test_the_bridge_types_and_directions_belong_together():
    pairs = {
        "gz.msgs.Clock": ("rosgraph_msgs/msg/Clock", "GZ_TO_ROS"),
        "gz.msgs.Image": ("sensor_msgs/msg/Image", "GZ_TO_ROS"),
        "gz.msgs.CameraInfo": ("sensor_msgs/msg/CameraInfo", "GZ_TO_ROS"),
        "gz.msgs.Odometry": ("nav_msgs/msg/Odometry", "GZ_TO_ROS"),
        "gz.msgs.Twist": ("geometry_msgs/msg/TwistStamped", "ROS_TO_GZ"),
        "gz.msgs.Double": ("std_msgs/msg/Float64", "ROS_TO_GZ"),
    }
    for entry in bridged():
        assert set(entry) <= {"ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name", "direction", "lazy"}
        assert (entry["ros_type_name"], entry["direction"]) == pairs[entry["gz_type_name"]]


def launch_constants(name):
    """The literal values that a launch file gives to names and keys."""
    tree = ast.parse((ROOT / "launch" / name).read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                    found[key.value] = value
    return {key: value for key, value in found.items() if key is not None}


def test_the_launch_file_joins_the_bridge_and_the_nodes():
    constants = launch_constants("gazebo.launch.py")
    ros_topics = {entry["ros_topic_name"] for entry in bridged()}
    assert constants["image"].value in ros_topics
    assert constants["camera_info"].value in ros_topics
    published = {"segmentation/label_mask", "hero/centroid", "hero/position"}
    source = "".join(path.read_text() for path in (ROOT / "fcn_follow" / "nodes").rglob("*.py"))
    assert all(f'"{topic}"' in source for topic in (*published, "odom"))
    assert {"odom", SIMULATED_CMD_VEL} <= ros_topics
    recorded = {
        ast.literal_eval(each).removeprefix("/")
        for each in constants["RECORDED"].elts
        if isinstance(each, ast.Constant)
    }
    assert recorded <= {topic.removeprefix("/") for topic in ros_topics} | published
    assert {"camera/image_raw", "ground_truth/labels_map"} <= recorded
    for model, parameters in ast.literal_eval(constants["DRONES"]).values():
        assert (MODELS / model / "model.sdf").is_file()
        assert (ROOT / "config" / parameters).is_file()


def test_the_real_launch_loads_the_launch_file():
    skip_without_launch()
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(ROOT / "launch" / "gazebo.launch.py"))
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert set(arguments) == {
        "world", "dynamics", "vehicle", "start", "gui", "record", "bag", "weights", "device", "params_file", "log_level"
    }  # fmt: skip
    assert all(len(argument.description) > 20 for argument in arguments.values())
    assert arguments["dynamics"].choices == ["rotors", "velocity"]


def launched(monkeypatch, **arguments):
    """The entities of gazebo.launch.py with these arguments, the launch package and its context."""
    skip_without_launch()
    import launch

    specification = importlib.util.spec_from_file_location("gazebo_launch", ROOT / "launch" / "gazebo.launch.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "gazebo_share", lambda: Path("/share/ros_gz_sim"))
    context = launch.LaunchContext()
    context.launch_configurations.update({each.name: each.default_value[0].text for each in module.ARGUMENTS})
    context.launch_configurations.update(arguments)
    return launch, context, module.make_everything(context)


def created(launch, context, entities):
    """The command that puts the first model into the world."""
    (begin,) = (each for each in entities if getattr(each, "node_executable", "") == "create")
    texts = [
        part for part in begin.cmd if all(isinstance(each, launch.substitutions.TextSubstitution) for each in part)
    ]
    return " ".join(launch.utilities.perform_substitutions(context, part) for part in texts)


@pytest.mark.parametrize("dynamics", ["velocity", "rotors"])
def test_the_drone_with_rotors_is_put_on_its_stand(dynamics, monkeypatch):
    launch, context, entities = launched(monkeypatch, dynamics=dynamics)
    command = created(launch, context, entities)
    name = "launch_stand" if dynamics == "rotors" else "follow_drone"
    assert f"models/{name}/model.sdf -name {name} " in command
    assert "-x 3.0 -y 7.99 -z 2.5 -Y -3.06" in command
    handlers = [each for each in entities if isinstance(each, launch.actions.RegisterEventHandler)]
    assert len(handlers) == (dynamics == "rotors"), "the drone comes when the stand is there"


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"world": "park"}, "-x -15.64 -y 5.16 -z 2.5 -Y -1.65"),
        ({"world": "park", "start": "1 2 3 0.5"}, "-x 1.0 -y 2.0 -z 3 -Y 0.5"),
        ({"world": "park", "vehicle": "px4"}, "-x -15.64 -y 5.16 -z 0.3 -Y -1.65"),
        ({"vehicle": "px4", "start": "1 2 3 0.5"}, "-x 1.0 -y 2.0 -z 3 -Y 0.5"),
    ],
    ids=str,
)
def test_the_drone_starts_where_its_world_says(arguments, place, monkeypatch):
    assert place in created(*launched(monkeypatch, **arguments))


@pytest.mark.parametrize("vehicle", sorted(AUTOPILOTS))
def test_an_autopilots_drone_is_flown_over_mavlink_and_waits_until_it_is_enabled(vehicle, monkeypatch):
    skip_without_launch()
    from launch_ros.actions import Node

    made, make = {}, Node.__init__

    def make_and_remember(self, **options):
        made[options["name"]] = options
        make(self, **options)

    monkeypatch.setattr(Node, "__init__", make_and_remember)
    launch, context, entities = launched(monkeypatch, vehicle=vehicle)
    assert f"models/{AUTOPILOTS[vehicle].parent.name}/model.sdf -name follow_drone " in created(
        launch, context, entities
    )
    given = {}
    for entity in entities:
        if isinstance(entity, launch.actions.IncludeLaunchDescription):
            given.update(entity.launch_arguments)
    assert given["enabled"] == ""
    assert given["vehicle_file"].endswith(f"config/gazebo_{vehicle}.yaml")
    assert made["gazebo_bridge"]["parameters"][0]["config_file"].endswith("config/bridge_autopilot.yaml")


@pytest.mark.parametrize("vehicle", sorted(AUTOPILOTS))
def test_the_nodes_know_the_camera_on_an_autopilots_drone(vehicle):
    document = load(AUTOPILOTS[vehicle])
    tree = yaml.safe_load((ROOT / "config" / f"gazebo_{vehicle}.yaml").read_text(encoding="utf-8"))
    camera = tree["/**"]["ros__parameters"]["camera"]
    own = tree["/**/follower"]["ros__parameters"]
    flat = {f"camera.{name}": value for name, value in camera.items()}
    settings = with_values(FollowerNodeParameters(), {**flat, "output": own["output"]})
    place = [float(part) for part in document.findtext(".//link[@name='camera_link']/pose").split()]
    assert place == [*settings.camera.mount.position_body_m, 0.0, settings.camera.pitch_down_rad, 0.0]
    assert not settings.camera.stabilised and settings.output == "mavlink"
    assert set(own["mavlink"]) <= {"address", "heartbeat_timeout_s"}
    (joint,) = document.iter("joint")
    assert (joint.get("type"), joint.findtext("child")) == ("fixed", "camera_link")
    include = document.find(".//include")
    if include.get("merge"):
        assert joint.findtext("parent") == "base_link"
    else:
        (frame,) = document.iter("frame")
        assert (joint.findtext("parent"), frame.get("attached_to")) == (frame.get("name"), include.findtext("name"))
    assert include.findtext("uri").removeprefix("model://") in FOREIGN


def test_the_bridge_beside_an_autopilot_carries_the_same_but_no_motion():
    """A second source of odometry or commands would be a fault."""
    own = {entry["ros_topic_name"]: entry for entry in bridged()}
    beside = yaml.safe_load((ROOT / "config" / "bridge_autopilot.yaml").read_text(encoding="utf-8"))
    assert all(own[entry["ros_topic_name"]] == entry for entry in beside)
    assert own.keys() - {entry["ros_topic_name"] for entry in beside} == {"odom", SIMULATED_CMD_VEL, "camera/pitch"}


@pytest.mark.parametrize(("path", "parameters"), list(zip(DRONES, ("gazebo.yaml", "gazebo_rotors.yaml"), strict=True)))
def test_the_nodes_know_the_camera_of_the_drone(path, parameters):
    document = load(path)
    given = yaml.safe_load((ROOT / "config" / parameters).read_text(encoding="utf-8"))
    camera = given["/**"]["ros__parameters"]["camera"]
    pitch_rad = float(document.findtext(".//plugin/initial_position"))
    assert camera["pitch_down_rad"] == pitch_rad
    for settings in (SegmenterParameters(), FollowerNodeParameters()):
        given_to_it = with_values(settings, {f"camera.{name}": value for name, value in camera.items()})
        assert given_to_it.camera.pitch_down_rad == pitch_rad
    place_m = [float(part) for part in document.findtext(".//link[@name='camera_link']/pose").split()]
    assert place_m == [camera["x_m"], camera["y_m"], camera["z_m"], 0, 0, 0]
    assert camera.get("stabilised", True) == (path == DRONES[0])


@pytest.mark.parametrize("path", [*DRONES, *AUTOPILOTS.values()], ids=named)
def test_camera_and_segmentation_see_the_same(path):
    rgb, labels = (next(s for s in load(path).iter("sensor") if s.get("type") == t) for t in ("camera", "segmentation"))
    for name in (
        "update_rate",
        "camera/horizontal_fov",
        "camera/image/width",
        "camera/image/height",
        "camera/clip/far",
    ):
        assert rgb.findtext(name) == labels.findtext(name)
    assert (rgb.findtext("camera/image/width"), rgb.findtext("update_rate")) == ("640", "20")


@pytest.mark.parametrize("name", ["town_square", "park"])
def test_the_people_of_a_world_walk_where_nothing_stands_and_are_labelled(name):
    town, world = town_of(SEED), load(WORLDS / f"{name}.sdf")
    labels = {person.name: str(person.label) for person in everybody(SEED)}
    actors = {actor.get("name"): actor for actor in world.iter("actor")}
    assert {each: actor.findtext("plugin/label") for each, actor in actors.items()}.items() <= labels.items()
    assert labels["hero"] == str(LABEL_HERO) and list(labels.values()).count(str(LABEL_HERO)) == 1
    assert "hero" in actors and len(actors) > 4
    for each, actor in actors.items():
        places = places_of(actor)
        x_y_m = places[:, 1:3]
        if name == "town_square":
            assert not any(town.blocked(x, y, 0.3) for x, y in x_y_m), each
        for model, x, y, radius_m in obstacles(name):
            assert np.linalg.norm(x_y_m - (x, y), axis=1).min() > radius_m + 0.3, (each, model)
        steps_m = np.linalg.norm(np.diff(x_y_m, axis=0), axis=1)
        assert steps_m.max() < 3.2 * WAYPOINT_S and np.median(steps_m) > 0.9 * WAYPOINT_S, each
        turns = [abs(math.remainder(b - a, math.tau)) for a, b in itertools.pairwise(places[:, 4])]
        assert max(turns) < math.radians(150), each
        assert np.allclose(places[0, 1:4], places[-1, 1:4]), each


def test_the_path_of_the_park_goes_over_the_hill_and_the_hero_walks_on_it():
    places = places_of(load(WORLDS / "park.sdf").find(".//actor[@name='hero']"))
    assert np.ptp(places[:, 3]) > 1.5
    lines = (MODELS / "park" / "meshes" / "park.obj").read_text(encoding="ascii").splitlines()
    path = lines[lines.index("o slabs") :]
    vertices = np.array([line.split()[1:] for line in path if line.startswith("v ")], float)
    normals = np.array([line.split()[1:] for line in path if line.startswith("vn ")], float)
    assert (normals[:, 2] > 0.8).all(), "its upper side is up"
    for _, x, y, z, _ in places:
        away_m = np.linalg.norm(vertices[:, :2] - (x, y), axis=1)
        assert away_m.min() < 1.3
        assert vertices[away_m.argmin(), 2] == pytest.approx(z, abs=0.25)


def places_of(actor):
    """time, x, y, z and heading of an actor's waypoints."""
    return np.array(
        [
            [float(waypoint.findtext("time")), *(float(part) for part in waypoint.findtext("pose").split())]
            for waypoint in actor.iter("waypoint")
        ]
    )[:, [0, 1, 2, 3, 6]]


@pytest.mark.parametrize("name", ["town_square", "park"])
def test_at_the_start_the_hero_is_5_m_ahead_and_nobody_is_near_the_line(name):
    """For the first seconds, in which the drone waits for the follower."""
    starts = ast.literal_eval(launch_constants("gazebo.launch.py")["STARTS"])
    x_m, y_m, z_m, yaw_rad = (float(part) for part in starts[name].split())
    drone = np.array((x_m, y_m))
    world = load(WORLDS / f"{name}.sdf")
    actors = {actor.get("name"): places_of(actor) for actor in world.iter("actor")}
    (_, *hero, ground_m, heading_rad) = actors.pop("hero")[0]
    away = np.array(hero) - drone
    assert np.linalg.norm(away) == pytest.approx(5.0, abs=0.1)
    assert math.remainder(math.atan2(away[1], away[0]) - yaw_rad, math.tau) == pytest.approx(0.0, abs=0.02)
    assert math.remainder(heading_rad - yaw_rad, math.tau) == pytest.approx(0.0, abs=0.02), "it walks away"
    assert 2.0 < z_m - ground_m < 2.6
    for _, x_m, y_m, radius_m in obstacles(name):
        assert distance_m(np.array((x_m, y_m)), drone, away) > radius_m + 0.5
    for person, places in actors.items():
        for _, *place, _, _ in places[places[:, 0] <= 6.0]:
            assert distance_m(np.array(place), drone, away) > 3.0, person


def distance_m(place, begin, along):
    """Of a place from the line that begins there and has this direction and length."""
    share = np.clip((place - begin) @ along / (along @ along), 0.0, 1.0)
    return np.linalg.norm(place - begin - share * along)


def obstacles(name):
    """Model, x, y and radius (m) of the plants of a world."""
    for include in load(WORLDS / f"{name}.sdf").iter("include"):
        model = include.findtext("uri").removeprefix("model://")
        radius = load(MODELS / model / "model.sdf").findtext(".//cylinder/radius")
        if radius:
            x_m, y_m = (float(part) for part in include.findtext("pose").split()[:2])
            yield model, x_m, y_m, float(radius)


def test_no_camera_of_a_drone_on_the_ground_is_below_the_paving():
    plane_m = float(load(MODELS / "town_square" / "model.sdf").findtext(".//collision[@name='ground']/pose").split()[2])
    assert plane_m >= max(ground.height_m for ground in town_of(SEED).grounds)


def test_the_drone_with_rotors_stands_on_its_stand_and_sees_past_it():
    """Its rotors rest until the first command, and it would fall."""
    drone, stand = load(DRONES[1]), load(MODELS / "launch_stand" / "model.sdf")
    body_m = [float(part) for part in drone.findtext(".//link[@name='base_link']/collision//size").split()]
    plate = stand.find(".//collision")
    x_m, _, z_m = [float(part) for part in plate.findtext("pose").split()][:3]
    length_m, _, thickness_m = [float(part) for part in plate.findtext(".//size").split()]
    assert z_m + thickness_m / 2 == pytest.approx(-body_m[2] / 2, abs=1e-6)
    assert x_m - length_m / 2 < -0.05 and x_m + length_m / 2 > 0.05, "the centre of mass is above the plate"
    camera_x_m = float(drone.findtext(".//link[@name='camera_link']/pose").split()[0])
    assert x_m + length_m / 2 < camera_x_m - 0.02
    launched = launch_constants("gazebo.launch.py")
    assert ast.literal_eval(launched["STAND"]) == "launch_stand"
    assert ast.literal_eval(launched["NEEDS_STAND"]) == {"follow_drone_rotors"}


def test_a_mesh_is_read_back_as_it_was_written():
    hero = everybody(SEED)[0]
    lines = (MODELS / "hero" / "meshes" / "hero.obj").read_text(encoding="ascii").splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    faces = np.array(
        [[part.split("//")[0] for part in line.split()[1:]] for line in lines if line.startswith("f ")], int
    )
    meshes = person_meshes(hero.outfit)
    assert np.allclose(vertices, np.concatenate([mesh.vertices_m for mesh in meshes.values()]), atol=6e-4)
    assert len(faces) == sum(len(mesh.faces) for mesh in meshes.values())
    assert faces.min() == 1 and faces.max() == len(vertices)
    assert 1.6 < np.ptp(vertices[:, 2]) < 1.72


def test_normals_point_outwards():
    ball = ellipsoid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert ((vertex_normals(ball) * ball.vertices_m).sum(1) > 0.5).all()
