"""What SDF files must hold to beyond what `ign sdf -k` looks at. Each rule gives one line a fault."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

SPECIFICATION = Path("/usr/share/sdformat12/1.9")
BEYOND_1_9 = {("sensor", "gz_frame_id"), ("camera", "optical_frame_id")}
"""What Gazebo reads and version 1.9 of the specification does not describe."""


@dataclass
class Grammar:
    """An element of the specification: its attributes and children; `anything` where every child is allowed."""

    attributes: set[str] = field(default_factory=set)
    children: dict[str, Grammar] = field(default_factory=dict)
    anything: bool = False


@cache
def grammar_of(filename: str) -> tuple[str, Grammar]:
    """Name and grammar of the element that a description file of libsdformat describes."""
    if not (SPECIFICATION / filename).is_file():  # Debian's package lacks navsat.sdf
        return filename.removesuffix(".sdf"), Grammar(anything=True)
    described = ElementTree.parse(SPECIFICATION / filename).getroot()
    return described.get("name", ""), _read(described)


def _read(described: Element) -> Grammar:
    grammar = Grammar({part.get("name", "") for part in described.findall("attribute")})
    for part in described.findall("element"):
        if part.get("copy_data") == "true":
            grammar.anything = True
        elif part.get("ref"):
            grammar.children[part.get("name", part.get("ref", ""))] = grammar  # nested models
        else:
            grammar.children[part.get("name", "")] = _read(part)
    for part in described.findall("include"):
        name, included = grammar_of(part.get("filename", ""))
        grammar.children[name] = included
    return grammar


def unknown_names(document: Element) -> Iterator[str]:
    """Elements and attributes that the SDF 1.9 specification does not know."""
    grammar = Grammar({"version"}, dict(grammar_of(name) for name in ("world.sdf", "model.sdf", "actor.sdf")))
    yield from _unknown(document, grammar)


def _unknown(element: Element, grammar: Grammar) -> Iterator[str]:
    if grammar.anything:
        return
    yield from (f"{element.tag}: unknown attribute {name}" for name in element.attrib if name not in grammar.attributes)
    for child in element:
        if child.tag in grammar.children:
            yield from _unknown(child, grammar.children[child.tag])
        elif (element.tag, child.tag) not in BEYOND_1_9:
            yield f"{element.tag}: unknown element {child.tag}"


def bad_actors(document: Element) -> Iterator[str]:
    """Actors that a segmentation camera does not see, and waypoints that go back in time.

    Gazebo loads the plugins of visuals with the models, before the actors of a world.
    """
    for actor in document.iter("actor"):
        if actor.find("skin") is None:
            yield f"actor {actor.get('name')}: has no skin"
        if actor.find("plugin/label") is None:
            yield f"actor {actor.get('name')}: has no label of its own"
        for trajectory in actor.iter("trajectory"):
            times = [float(time.text or "nan") for time in trajectory.iter("time")]
            if not all(a < b for a, b in pairwise(times)):
                yield f"actor {actor.get('name')}: the times of its waypoints do not rise"


def unresolved_uris(document: Element, models: Path) -> Iterator[str]:
    """model:// addresses of files and models that are not in `models`; other kinds of address."""
    for uri in (*document.iter("uri"), *document.iterfind(".//skin/filename")):
        text = uri.text or ""
        path = models / text.removeprefix("model://")
        if not text.startswith("model://"):
            yield f"{text}: not a model:// address"
        elif not (path.is_file() or (path / "model.config").is_file()):
            yield f"{text}: there is no such file"


def unresolved_textures(models: Path) -> Iterator[str]:
    """Material files and textures that meshes name and that are not there."""
    for mesh in models.rglob("*.obj"):
        lines = mesh.read_text(encoding="ascii").splitlines()
        library = mesh.parent / next(line.split()[1] for line in lines if line.startswith("mtllib "))
        if not library.is_file():
            yield f"{mesh.name}: there is no {library.name}"
            continue
        described = library.read_text(encoding="ascii").splitlines()
        known = {line.split()[1] for line in described if line.startswith("newmtl ")}
        used = {line.split()[1] for line in lines if line.startswith("usemtl ")}
        yield from (f"{mesh.name}: no material {name}" for name in used - known)
        textures = [line.split()[1] for line in described if line.startswith("map_Kd ")]
        yield from (f"{library.name}: no texture {name}" for name in textures if not (mesh.parent / name).is_file())


def mismatched_plugins(document: Element, known: Mapping[str, str]) -> Iterator[str]:
    """Plugins whose file and class do not belong together."""
    for plugin in document.iter("plugin"):
        filename, name = plugin.get("filename", ""), plugin.get("name", "")
        if known.get(filename) != name:
            yield f"plugin {filename}: {name} is not in it"


def bad_labels(document: Element) -> Iterator[str]:
    """Labels that a segmentation camera cannot show."""
    for label in document.iter("label"):
        text = label.text or ""
        if not (text.isdigit() and 0 <= int(text) <= 255):
            yield f"label {text}: from 0 to 255 is wanted"


def unphysical_inertias(document: Element) -> Iterator[str]:
    """Masses and moments that no body can have: not positive, or against the triangle inequality."""
    for link in document.iter("link"):
        inertial = link.find("inertial")
        if inertial is None:
            continue
        mass = float(inertial.findtext("mass", "nan"))
        moments = sorted(float(inertial.findtext(f"inertia/{axis}", "nan")) for axis in ("ixx", "iyy", "izz"))
        if not (math.isfinite(mass) and mass > 0.0 and moments[0] > 0.0 and moments[0] + moments[1] >= moments[2]):
            yield f"link {link.get('name')}: no body has mass {mass} and moments {moments}"


def unstable_joints(document: Element, step_s: float) -> Iterator[str]:
    """Position controllers of joints that swing from one physics step to the next.

    With force commands the derivative gain turns the joint's speed v into v * (1 - ratio) in one step; a ratio of 2 is
    a limit cycle, and below 1 nothing overshoots. With velocity commands the physics needs an effort to keep them.
    """
    for plugin in document.iter("plugin"):
        if not plugin.get("name", "").endswith("::JointPositionController"):
            continue
        name = plugin.findtext("joint_name", "")
        joint = next(each for each in document.iter("joint") if each.get("name") == name)
        if plugin.findtext("use_velocity_commands") == "true":
            if not float(joint.findtext("axis/limit/effort", "0")) > 0.0:
                yield f"joint {name}: velocity commands without a limit of the effort"
            continue
        link = next(each for each in document.iter("link") if each.get("name") == joint.findtext("child"))
        inertia_kg_m2 = float(link.findtext("inertial/inertia/iyy", "nan"))
        damping = float(joint.findtext("axis/dynamics/damping", "0"))
        ratio = float(plugin.findtext("d_gain", "0")) * step_s / (inertia_kg_m2 + step_s * damping)
        if not ratio < 1.0:
            yield f"joint {name}: its controller's derivative gain takes {ratio:.1f} times the speed in one step"


def unbalanced_drones(document: Element) -> Iterator[str]:
    """Drones with rotors whose centre of mass is not between them: they drift."""
    if not any(plugin.get("name", "").endswith("::MulticopterVelocityControl") for plugin in document.iter("plugin")):
        return
    moment_kg_m = [0.0, 0.0]
    for link in document.iter("link"):
        mass_kg = float(link.findtext("inertial/mass", "0"))
        for text in (link.findtext("pose", ""), link.findtext("inertial/pose", "")):
            for axis, value in enumerate(text.split()[:2]):
                moment_kg_m[axis] += mass_kg * float(value)
    if max(map(abs, moment_kg_m)) > 1e-3:
        yield f"the centre of mass is not in the middle: {moment_kg_m[0]:.4f}, {moment_kg_m[1]:.4f} kg m"


def mismatched_frames(document: Element) -> Iterator[str]:
    """Segmentation cameras whose labels are in another frame than the pictures."""
    pictures = {each.findtext("camera/optical_frame_id") for each in document.iterfind(".//sensor[@type='camera']")}
    for sensor in document.iterfind(".//sensor[@type='segmentation']"):
        if sensor.findtext("gz_frame_id") not in pictures:
            yield f"labels are in frame {sensor.findtext('gz_frame_id')}, pictures in {pictures}"


def gazebo_topics(document: Element) -> dict[str, str]:
    """Every topic that a model says or hears, with the Gazebo type of its messages."""
    topics = {}
    for sensor in document.iter("sensor"):
        topic = "/" + sensor.findtext("topic", "")
        if sensor.get("type") == "camera":
            topics |= {topic: "gz.msgs.Image", topic.rsplit("/", 1)[0] + "/camera_info": "gz.msgs.CameraInfo"}
        elif sensor.get("type") == "segmentation":
            topics[f"{topic}/labels_map"] = "gz.msgs.Image"
    for plugin in document.iter("plugin"):
        namespace = plugin.findtext("robotNamespace", "")
        for system, element, kind, prefix in (
            ("VelocityControl", "topic", "gz.msgs.Twist", ""),
            ("MulticopterVelocityControl", "commandSubTopic", "gz.msgs.Twist", f"{namespace}/"),
            ("JointPositionController", "topic", "gz.msgs.Double", ""),
            ("OdometryPublisher", "odom_topic", "gz.msgs.Odometry", ""),
        ):
            if plugin.get("name") == f"gz::sim::systems::{system}":
                topics[f"/{prefix}{plugin.findtext(element, '')}"] = kind
    return topics
