"""One random still scene: camera, people, light and sensor.

The ranges are those of frames from small drones: cameras 1.3 to 10 m above the ground that look down by about 27
degrees, with a standard deviation of ten, a hero 2.5 to 45 m away, and a crowd of up to 26.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from fcn_follow.geometry import CameraIntrinsics, vector3
from fcn_follow.simulation.camera import Sensor, pinhole
from fcn_follow.simulation.outfits import LOOKALIKE, Outfit, dressed, random_outfit
from fcn_follow.simulation.people import MIDDLE_M, RUN_FROM_M_S, pose_index
from fcn_follow.simulation.renderer import HERO, OTHER_PERSON, CameraPose, Light, PersonView, look
from fcn_follow.simulation.town import ROAD_M, ROAD_WIDTH_M, Building, GroundHeight, Town

_TRIES = 200
_REACH_M = 100.0
_LOW_WALLS = 12
_SQUEEZED_SHARE = 0.3
"""Share of frames that are narrower, like a 4:3 image that was resized to the requested size."""
_MIN_HEIGHT_M, _MAX_HEIGHT_M = 1.3, 10.0


@dataclass(frozen=True)
class Scene:
    """The content of one image."""

    intrinsics: CameraIntrinsics
    camera: CameraPose
    people: tuple[PersonView, ...]
    light: Light
    sensor: Sensor


@dataclass(frozen=True)
class SceneRequest:
    """A scene to draw: with or without a hero, near or far, seated, behind a low wall; and the size of the image."""

    width_px: int
    height_px: int
    hero: bool
    far: bool
    seated: bool = False
    wall: Building | None = None


def draw_scene(rng: np.random.Generator, town: Town, ground: GroundHeight, hero: Outfit, wanted: SceneRequest) -> Scene:
    """A random scene of the requested kind; only the image shows whether trees or people hide the hero."""
    intrinsics = pinhole(wanted.width_px, wanted.height_px, float(np.radians(rng.uniform(55, 85))))
    if rng.random() < _SQUEEZED_SHARE:
        intrinsics = dataclasses.replace(intrinsics, fx_px=intrinsics.fx_px * 0.75)
    for _ in range(_TRIES):
        target, bearing = _behind(rng, wanted.wall) if wanted.wall else (_place_to_stand(rng, town), None)
        camera = _camera(rng, intrinsics, (*target, ground(*target) + MIDDLE_M), wanted.far, bearing)
        x, y, z = camera.position_m
        if _MIN_HEIGHT_M < z - ground(x, y) < _MAX_HEIGHT_M and not town.hit((x, y, z), 0.8):
            break
    towards = float(np.arctan2(target[1] - y, target[0] - x))
    people = [_person(rng, target, ground, hero, HERO, towards)] if wanted.hero else []
    if wanted.seated:
        people = [dataclasses.replace(person, pose=pose_index(0.0, 0.0, rng.uniform(0.4, 1.0))) for person in people]
    people += _crowd(rng, town, ground, (x, y), towards, target)
    return Scene(intrinsics, camera, tuple(people), _light(rng), _sensor(rng))


def _place_to_stand(rng: np.random.Generator, town: Town) -> tuple[float, float]:
    """A free position, more often on the square and on the roads than elsewhere."""
    for _ in range(_TRIES):
        kind = rng.random()
        x, y = (float(v) for v in rng.uniform(-1, 1, 2) * (24.0 if kind < 0.4 else _REACH_M))
        if kind > 0.8:
            x = float(rng.choice([-ROAD_M, ROAD_M]) + rng.uniform(-0.5, 0.5) * ROAD_WIDTH_M)
            x, y = (x, y) if kind > 0.9 else (y, x)
        if not town.blocked(x, y, 0.6):
            return (x, y)
    return (8.0, 0.0)


def low_walls(rng: np.random.Generator, town: Town) -> tuple[Building, ...]:
    """Walls of 0.4 to 1.35 m, at free positions where people stand."""
    walls = []
    for _ in range(_LOW_WALLS):
        x, y = _place_to_stand(rng, town)
        thick, long = float(rng.uniform(0.15, 0.6)), float(rng.uniform(1.5, 14.0))
        size = (thick, long) if rng.random() < 0.5 else (long, thick)
        walls.append(Building((x, y), size, float(rng.uniform(0.4, 1.35)), int(rng.integers(0, 4))))
    return tuple(walls)


def _behind(rng: np.random.Generator, wall: Building) -> tuple[tuple[float, float], float]:
    """A position behind a wall, and the direction of view of a camera on its other side."""
    thin = 0 if wall.size_m[0] < wall.size_m[1] else 1
    side = float(rng.choice([-1.0, 1.0]))
    place = list(wall.centre_m)
    place[thin] += side * (wall.size_m[thin] / 2 + rng.uniform(0.25, 1.3))
    place[1 - thin] += rng.uniform(-0.5, 0.5) * wall.size_m[1 - thin]
    across = (0.0 if side > 0 else np.pi) if thin == 0 else side * np.pi / 2
    return (float(place[0]), float(place[1])), float(across + rng.normal(0, 0.5))


def _camera(
    rng: np.random.Generator,
    intrinsics: CameraIntrinsics,
    target_m: tuple[float, float, float],
    far: bool,
    bearing_rad: float | None,
) -> CameraPose:
    """A camera that shows the target somewhere in its image; a far target is mostly in the upper half.

    Its height follows from the pitch, the position in the image and the distance.
    """
    distance = float(np.exp(rng.uniform(np.log(11), np.log(45)) if far else rng.uniform(np.log(2.5), np.log(13))))
    across = rng.uniform(-0.92, 0.92) if far else np.clip(rng.normal(0, 0.45), -1, 1)
    down = rng.uniform(-0.95, 0.2) if far else np.clip(rng.normal(-0.1, 0.45), -0.95, 0.95)
    pitch = float(np.clip(np.radians(rng.normal(27, 10)), -0.1, 1.1))
    bearing = float(rng.uniform(-np.pi, np.pi)) if bearing_rad is None else bearing_rad
    sight_down = pitch + float(np.arctan(down * intrinsics.height_px / 2 / intrinsics.fy_px))
    yaw = bearing + float(np.arctan(across * intrinsics.width_px / 2 / intrinsics.fx_px))
    offset = np.array([np.cos(bearing), np.sin(bearing), -np.tan(sight_down)]) * distance
    return look(tuple(np.subtract(target_m, offset)), yaw, pitch, float(rng.normal(0, 0.04)))


def _person(
    rng: np.random.Generator,
    at_m: tuple[float, float],
    ground: GroundHeight,
    outfit: Outfit,
    label: int,
    towards_rad: float,
) -> PersonView:
    """A person who stands, walks or runs, often away from the camera or towards it."""
    speed = float(rng.choice([0.0, 1.4, RUN_FROM_M_S + 0.7], p=[0.15, 0.65, 0.2]))
    along = rng.random() < 0.5
    yaw = (
        towards_rad + rng.choice([0.0, np.pi], p=[0.7, 0.3]) + rng.normal(0, 0.5)
        if along
        else rng.uniform(-np.pi, np.pi)
    )
    pose = pose_index(float(rng.uniform(0, 2 * np.pi)), speed)
    return PersonView((*at_m, ground(*at_m)), float(yaw), pose, outfit, label)


def _crowd(
    rng: np.random.Generator,
    town: Town,
    ground: GroundHeight,
    camera_m: tuple[float, float],
    towards_rad: float,
    hero_m: tuple[float, float],
) -> list[PersonView]:
    """Up to 26 others in view, some of them around the hero, no two in the same position."""
    count = int(rng.choice([0, int(rng.integers(1, 8)), int(rng.integers(8, 27))], p=[0.12, 0.43, 0.45]))
    taken = [hero_m]
    people: list[PersonView] = []
    for _ in range(count * 4):
        if len(people) == count:
            break
        if rng.random() < 0.25:
            spot = np.asarray(hero_m) + rng.normal(0, 3.0, 2)
        else:
            distance, side = float(np.exp(rng.uniform(np.log(2.2), np.log(40)))), rng.uniform(-0.85, 0.85)
            angle = towards_rad + side
            spot = np.asarray(camera_m) + distance * np.array([np.cos(angle), np.sin(angle)])
        x, y = float(spot[0]), float(spot[1])
        if town.blocked(x, y, 0.4) or any(np.hypot(x - tx, y - ty) < 0.6 for tx, ty in taken):
            continue
        taken.append((x, y))
        people.append(_person(rng, (x, y), ground, _other(rng), OTHER_PERSON, towards_rad))
    return people


def _other(rng: np.random.Generator) -> Outfit:
    """A random outfit for the crowd; one person in twelve wears something red."""
    if rng.random() > 1 / 12:
        return random_outfit(rng)
    if rng.random() < 0.4:
        return LOOKALIKE
    return dressed(random_outfit(rng), {str(rng.choice(["hair", "top", "bottom"])): "red"})


def _light(rng: np.random.Generator) -> Light:
    azimuth = float(rng.uniform(-np.pi, np.pi))
    shadows = bool(rng.random() < 0.4)
    if rng.random() < 0.08:
        dim = rng.uniform(0.45, 0.8)
        sun, ambient = np.array([0.7, 0.5, 0.32]) * dim, np.array([0.4, 0.4, 0.46]) * dim
        return Light(azimuth, float(rng.uniform(0.12, 0.35)), vector3(sun), vector3(ambient), shadows)
    ambient = np.array([0.5, 0.5, 0.51]) * rng.uniform(0.8, 1.18)
    sun = np.array([0.74, 0.73, 0.7]) * rng.uniform(0.6, 1.1)
    return Light(azimuth, float(rng.uniform(0.5, 1.35)), vector3(sun), vector3(ambient), shadows)


def _sensor(rng: np.random.Generator) -> Sensor:
    return Sensor(
        blur_px=float(rng.uniform(0.3, 0.9)) if rng.random() < 0.4 else 0.0,
        motion_px=float(rng.uniform(1.5, 5.0)) if rng.random() < 0.1 else 0.0,
        motion_angle_rad=float(rng.uniform(0, np.pi)),
        gain=float(np.exp(rng.normal(0, 0.08))),
        gamma=float(np.exp(rng.normal(0.0, 0.12))),
        tint=vector3(np.exp(rng.normal(0, 0.02, 3))),
        noise_levels=float(rng.uniform(0.5, 5.0)) if rng.random() < 0.4 else 0.0,
    )
