"""SDF as XML elements; SDF 1.9, http://sdformat.org/spec."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

SDF_VERSION = "1.9"
LABEL_OTHER, LABEL_HERO = 1, 2
"""The labels of the ground truth, as in every label mask; everything else is background, 0."""

PLUGINS = {
    "gz-sim-physics-system": "gz::sim::systems::Physics",
    "gz-sim-user-commands-system": "gz::sim::systems::UserCommands",
    "gz-sim-scene-broadcaster-system": "gz::sim::systems::SceneBroadcaster",
    "gz-sim-sensors-system": "gz::sim::systems::Sensors",
    "gz-sim-imu-system": "gz::sim::systems::Imu",
    "gz-sim-air-pressure-system": "gz::sim::systems::AirPressure",
    "gz-sim-magnetometer-system": "gz::sim::systems::Magnetometer",
    "gz-sim-navsat-system": "gz::sim::systems::NavSat",
    "gz-sim-label-system": "gz::sim::systems::Label",
    "gz-sim-velocity-control-system": "gz::sim::systems::VelocityControl",
    "gz-sim-multicopter-control-system": "gz::sim::systems::MulticopterVelocityControl",
    "gz-sim-multicopter-motor-model-system": "gz::sim::systems::MulticopterMotorModel",
    "gz-sim-joint-position-controller-system": "gz::sim::systems::JointPositionController",
    "gz-sim-odometry-publisher-system": "gz::sim::systems::OdometryPublisher",
}
"""Gazebo's systems that the models and worlds use: file name to class name."""


def child(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    """A new child of `parent`, with text and attributes as SDF writes them."""
    made = SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        made.text = str(text).lower() if isinstance(text, bool) else str(text)
    return made


def values(parent: Element, /, **texts: object) -> None:
    """One child with text for each keyword."""
    for tag, text in texts.items():
        child(parent, tag, text)


def plugin(parent: Element, filename: str) -> Element:
    """A new child of `parent` that loads one of PLUGINS."""
    return child(parent, "plugin", filename=filename, name=PLUGINS[filename])


def pose(parent: Element, *numbers: float) -> None:
    """x, y, z in metres and roll, pitch, yaw in radians; missing numbers are 0."""
    child(parent, "pose", " ".join(f"{number:.4g}" for number in (*numbers, *[0.0] * (6 - len(numbers)))))


def mesh_visual(link: Element, uri: str) -> Element:
    """A visual that shows a mesh with its own materials."""
    visual = child(link, "visual", name="visual")
    values(child(child(visual, "geometry"), "mesh"), uri=uri)
    return visual


def labelled(parent: Element, label: int) -> None:
    """Give a model's visual, or an actor, its label in the segmentation camera."""
    values(plugin(parent, "gz-sim-label-system"), label=label)


def root() -> Element:
    """An empty SDF document."""
    return Element("sdf", {"version": SDF_VERSION})


def to_text(document: Element) -> str:
    """The document as the text of a file."""
    ElementTree.indent(document, "  ")
    body = ElementTree.tostring(document, encoding="unicode")
    return f'<?xml version="1.0"?>\n<!-- Made by: fcn-follow gazebo-assets -->\n{body}\n'


def model_config(name: str, description: str) -> str:
    """The model.config by which Gazebo finds model://NAME."""
    config = Element("model")
    values(config, name=name, version="1.0")
    child(config, "sdf", "model.sdf", version=SDF_VERSION)
    values(child(config, "author"), name="fcn_follow maintainers")
    values(config, description=description)
    ElementTree.indent(config, "  ")
    return f'<?xml version="1.0"?>\n{ElementTree.tostring(config, encoding="unicode")}\n'
