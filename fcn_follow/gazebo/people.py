"""The hero and a crowd: a model each, and actors that walk in an endless loop.

An actor's skin is the person's mesh in mid-stride, which has no skeleton, and its script is a list of waypoints: it
glides without moving its legs. Gazebo loads the label of a link's visual for models only, so an actor has no link, and
its label is in the actor itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from fcn_follow.gazebo.elements import LABEL_HERO, LABEL_OTHER, child, labelled, mesh_visual, pose, root, values
from fcn_follow.simulation.outfits import HERO, LOOKALIKE, Outfit, random_outfit
from fcn_follow.simulation.people import PARTS, body_meshes, gait_pose
from fcn_follow.simulation.shapes import Mesh
from fcn_follow.simulation.walking import Leg, Route

Place = tuple[float, float]
WAYPOINT_S = 0.5
_STEP_S = 0.02
_STRIDE = gait_pose(0.6, running=False)


@dataclass(frozen=True)
class Person:
    """A person who walks round the corners of a loop; places in metres, east and north of the square's middle."""

    name: str
    outfit: Outfit
    label: int
    corners_m: tuple[Place, ...]
    speed_m_s: float
    start_share: float = 0.5
    """The share of the loop, from its first corner, that the person has already walked at the start."""


_HERO_START_SHARE = 0.675
"""With these, nobody else is near the hero or the drone behind it; see `start` of launch/gazebo.launch.py."""
_HERO_LOOP = ((-12.0, -6.0), (8.0, -6.5), (8.5, 6.0), (2.0, 8.0), (-9.0, 7.0), (-12.0, 0.0))
_OTHERS: tuple[tuple[tuple[Place, ...], float], ...] = (
    (((-15.0, -12.0), (9.0, -12.0), (9.0, -9.5), (-15.0, -9.5)), 1.2),
    (((-4.0, 12.0), (8.0, 12.0), (8.0, 16.0), (-4.0, 16.0)), 1.3),
    (((15.0, -8.0), (15.0, 8.0), (18.0, 8.0), (18.0, -8.0)), 1.1),
    (((-18.0, 8.0), (-18.0, -8.0), (-15.5, -8.0), (-15.5, 8.0)), 1.4),
    (((-6.0, 15.0), (-6.0, -14.0), (-4.5, -14.0), (-4.5, 15.0)), 1.3),
    (((5.0, -14.0), (5.0, 4.0), (6.5, 4.0), (6.5, -14.0)), 1.5),
    (((-12.0, -18.0), (12.0, -18.0), (18.0, -12.0), (18.5, 13.0), (13.0, 18.5), (-11.5, 18.5), (-20.0, 10.5),
      (-20.0, -10.0)), 2.8),
)  # fmt: skip


def everybody(seed: int) -> list[Person]:
    """The hero, a person in red trousers, and six others whose clothes come from the seed."""
    rng = np.random.default_rng([seed, 7])
    outfits = [LOOKALIKE, *(random_outfit(rng) for _ in _OTHERS[1:])]
    others = [
        Person(f"person_{number}", outfit, LABEL_OTHER, corners, speed)
        for number, (outfit, (corners, speed)) in enumerate(zip(outfits, _OTHERS, strict=True), start=1)
    ]
    return [Person("hero", HERO, LABEL_HERO, _HERO_LOOP, 1.4, _HERO_START_SHARE), *others]


def person_meshes(outfit: Outfit) -> dict[str, Mesh]:
    """A body in mid-stride: one mesh for each of PARTS that this outfit shows."""
    meshes = body_meshes(_STRIDE)
    shown = {}
    for part in PARTS:
        mesh = meshes.get(outfit.mesh_name(part))
        if mesh is not None:
            shown[part] = Mesh(mesh.vertices_m * np.array(outfit.scale), mesh.faces)
    return shown


def mesh_uri(person: Person) -> str:
    """The URI of the person's mesh."""
    return f"model://{person.name}/meshes/{person.name}.obj"


def standing_model(person: Person) -> Element:
    """The person as a model that stands still, for other worlds."""
    document = root()
    model = child(document, "model", name=person.name)
    values(model, static=True)
    link = child(model, "link", name="body")
    labelled(mesh_visual(link, mesh_uri(person)), person.label)
    return document


def walking_actor(world: Element, person: Person, height_m: Callable[[float, float], float]) -> None:
    """The person as an actor that walks its loop; `height_m` gives the ground's height at a place."""
    actor = child(world, "actor", name=person.name)
    values(child(actor, "skin"), filename=mesh_uri(person))
    labelled(actor, person.label)
    script = child(actor, "script")
    values(script, loop=True, delay_start=0.0, auto_start=True)
    trajectory = child(script, "trajectory", id=0, type="loop")
    for number, (x_m, y_m, heading_rad) in enumerate(loop_waypoints(person)):
        waypoint = child(trajectory, "waypoint")
        values(waypoint, time=f"{number * WAYPOINT_S:g}")
        pose(waypoint, x_m, y_m, height_m(x_m, y_m), 0.0, 0.0, heading_rad)


def loop_waypoints(person: Person) -> list[tuple[float, float, float]]:
    """x, y and heading every WAYPOINT_S on one round of the person's loop; the last is the first again."""
    corners_m, speed_m_s = person.corners_m, person.speed_m_s
    rounds = [Leg(corner, speed_m_s) for corner in (*corners_m[1:], *corners_m, corners_m[1], corners_m[2])]
    route = Route(corners_m[0], rounds)
    length_m = sum(math.dist(a, b) for a, b in zip(corners_m, (*corners_m[1:], corners_m[0]), strict=True))
    places = []
    for tick in range(round(2.5 * length_m / speed_m_s / _STEP_S)):
        if tick % round(WAYPOINT_S / _STEP_S) == 0:
            places.append((route.walker.x_m, route.walker.y_m, math.remainder(route.walker.heading_rad, math.tau)))
        route.step(_STEP_S)
    first = round(person.start_share * length_m / speed_m_s / WAYPOINT_S)
    there = places[first]
    nearest = min(
        range(first + round(0.6 * length_m / speed_m_s / WAYPOINT_S), len(places)),
        key=lambda index: math.dist(places[index][:2], there[:2]),
    )
    return [*places[first:nearest], there]
