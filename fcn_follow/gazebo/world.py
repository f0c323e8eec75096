"""A world file: light, physics, the scenery and its plants, and people who walk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from xml.etree.ElementTree import Element

from fcn_follow.gazebo.elements import child, plugin, pose, root, values
from fcn_follow.gazebo.people import Person, walking_actor

_SYSTEMS = ("gz-sim-physics-system", "gz-sim-user-commands-system", "gz-sim-scene-broadcaster-system")
_AUTOPILOTS_SENSORS = (
    "gz-sim-imu-system",
    "gz-sim-air-pressure-system",
    "gz-sim-magnetometer-system",
    "gz-sim-navsat-system",
)


def world_document(
    name: str,
    plants: Iterable[tuple[str, float, float, float, float]],
    people: Sequence[Person],
    height_m: Callable[[float, float], float],
) -> Element:
    """The world of the scenery `name`, without a drone, which the launch file adds.

    Args:
        name: of the world and of the model of its ground.
        plants: model name, x, y, z (m) and yaw (rad) of each.
        people: walk their loops.
        height_m: of the ground under the people, at x and y.
    """
    document = root()
    world = child(document, "world", name=name)
    physics = child(world, "physics", name="4ms", type="ignored")
    values(physics, max_step_size=0.004, real_time_factor=1.0)
    for filename in (*_SYSTEMS, *_AUTOPILOTS_SENSORS):
        plugin(world, filename)
    values(plugin(world, "gz-sim-sensors-system"), render_engine="ogre2")
    values(world, gravity="0 0 -9.81")
    values(
        child(world, "spherical_coordinates"),
        surface_model="EARTH_WGS84", world_frame_orientation="ENU", latitude_deg=47.4, longitude_deg=8.55,
        elevation=450, heading_deg=0,
    )  # fmt: skip
    scene = child(world, "scene")
    values(scene, ambient="0.45 0.48 0.52 1", background="0.66 0.76 0.88 1", shadows=True, grid=False)
    child(scene, "sky")
    sun = child(world, "light", name="sun", type="directional")
    pose(sun, 0.0, 0.0, 30.0)
    values(sun, cast_shadows=True, diffuse="0.95 0.92 0.85 1", specular="0.1 0.1 0.1 1", direction="-0.45 0.35 -0.82")
    _include(world, name, name)
    for number, (model, x_m, y_m, z_m, yaw_rad) in enumerate(plants):
        _include(world, model, f"{model}_{number}", x_m, y_m, z_m, 0.0, 0.0, yaw_rad)
    for person in people:
        walking_actor(world, person, height_m)
    return document


def _include(world: Element, model: str, name: str, *place: float) -> None:
    include = child(world, "include")
    values(include, uri=f"model://{model}", name=name)
    if place:
        pose(include, *place)
