"""The world of one flight: hero, crowd and drone move in small steps, and the camera takes frames at its rate.

The same scenario, seed and commands give the same episode, frame for frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcn_follow.coordinates import quaternion_xyzw
from fcn_follow.geometry import (
    CameraIntrinsics,
    CameraMount,
    HeroPosition,
    Vector3,
    VehicleState,
    VelocityCommand,
    vector3,
)
from fcn_follow.simulation.camera import DelayLine, expose, pinhole
from fcn_follow.simulation.drone import Drone, Odometry, OdometryNoise, rotation_matrix
from fcn_follow.simulation.outfits import LOOKALIKE, Cast, Outfit, random_outfit
from fcn_follow.simulation.outside_drone import OutsideDrone
from fcn_follow.simulation.people import BODY_HEIGHT_M, MIDDLE_M, SEATED_MIDDLE_M, pose_index
from fcn_follow.simulation.renderer import HERO as HERO_LABEL
from fcn_follow.simulation.renderer import OTHER_PERSON, CameraPose, PersonView, Renderer, look
from fcn_follow.simulation.scenarios import START_HEIGHT_M, START_YAW_RAD, Scenario
from fcn_follow.simulation.town import GroundHeight, Town
from fcn_follow.simulation.walking import Crowd, Route, Walker
from fcn_follow.simulation.world import World, make_world

STEP_S = 0.01
LATENCY_S = 0.05
"""Latency of the camera itself; a scenario with a larger latency adds the difference."""
MOUNT = CameraMount((0.1, 0.0, -0.05), 0.297)


@dataclass(frozen=True)
class CameraSetup:
    """The drone's camera: on a gimbal that removes roll and pitch, or, if not stabilised, fixed to the body."""

    width_px: int = 320
    height_px: int = 240
    horizontal_fov_rad: float = math.radians(80.0)
    mount: CameraMount = MOUNT
    stabilised: bool = True
    latency_s: float = LATENCY_S

    @property
    def intrinsics(self) -> CameraIntrinsics:
        return pinhole(self.width_px, self.height_px, self.horizontal_fov_rad)


@dataclass(frozen=True)
class Frame:
    """An image as it left the camera, with the truth of that moment.

    `rgb` uint8 (H, W, 3); `labels` uint8 (H, W), 0 background, 1 other people, 2 hero; `hero` is the middle of the
    hero's body in the camera's optical frame, also where that is behind the camera.
    """

    stamp_s: float
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    hero: HeroPosition

    @property
    def hero_px(self) -> int:
        return int((self.labels == HERO_LABEL).sum())


def _mounted(camera: CameraSetup, pitch_error_rad: float) -> CameraSetup:
    """The camera with its true pitch."""
    mount = replace(camera.mount, pitch_down_rad=camera.mount.pitch_down_rad + pitch_error_rad)
    return replace(camera, mount=mount)


class Episode(AbstractContextManager["Episode"]):
    """`advance` moves the world and returns the frames that arrived. Close it, or use `with`.

    `on_picture` gets the stamp and the picture of a frame that arrives at once, before its truth is drawn. With
    `flown_outside` the drone is an OutsideDrone: the hero stands until the drone flies, and no frames are taken while
    the drone's position is unknown.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        camera: CameraSetup | None = None,
        cast: Cast | None = None,
        on_picture: Callable[[float, NDArray[np.uint8]], None] | None = None,
        flown_outside: bool = False,
    ) -> None:
        self.scenario, self.camera = scenario, _mounted(camera or CameraSetup(), scenario.pitch_error_rad)
        self.now_s = 0.0
        self.world: World = make_world(seed, scenario.town(seed))
        self.town: Town = self.world.town
        self._ground = GroundHeight(self.town)
        self._renderer = Renderer(self.world, self.camera.width_px, self.camera.height_px)
        rng = np.random.default_rng([seed, 3])
        self._sensor_rng, wind_rng, odometry_rng = (np.random.default_rng([seed, stream]) for stream in (4, 5, 6))
        cast = cast or Cast()
        self._hero_outfit = replace(cast.hero, height_m=scenario.hero_height_m or cast.hero.height_m)
        self.route = Route(scenario.start_m, scenario.legs)
        x, y = (place + offset for place, offset in zip(scenario.start_m, scenario.drone_from_hero_m, strict=True))
        start = (x, y, self._ground(*scenario.start_m) + START_HEIGHT_M)
        self.drone = (
            OutsideDrone((x, y), START_YAW_RAD, self._ground)
            if flown_outside
            else Drone(start, START_YAW_RAD, wind=scenario.wind, rng=wind_rng)
        )
        self._odometry = Odometry(OdometryNoise(), odometry_rng)
        self.crowd = Crowd(rng, self.town, scenario.crowd, scenario.crowd_region_m, (scenario.start_m, (x, y)))
        self._outfits = [random_outfit(rng) for _ in self.crowd.walkers]
        dressed = cast.crowd[: len(self._outfits)]
        self._outfits[: len(dressed)] = dressed
        self._others = [other.route(rng) for other in scenario.others]
        self._outfits += [self._hero_outfit if other.is_twin else random_outfit(rng) for other in scenario.others]
        self._gimbal_rad = np.zeros(2)
        if scenario.lookalike and self.crowd.walkers:
            self._outfits[0] = (*cast.crowd, LOOKALIKE)[0]
            beside = self.crowd.walkers[0]
            beside.x_m, beside.y_m = scenario.start_m[0] + 3.0, scenario.start_m[1] + 1.5
        delay_s = max(0.0, self.camera.latency_s + scenario.latency_s - LATENCY_S)
        self._delay: DelayLine[Frame] = DelayLine(delay_s)
        self.arrives_at_once = delay_s == 0.0
        self._on_picture = on_picture
        self._frames_due = 0
        self.dropped = 0

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._renderer.close()

    def command(self, command: VelocityCommand) -> None:
        """Give the drone a command."""
        self.drone.command(command, self.now_s)

    @property
    def frame_is_due(self) -> bool:
        """Whether the next step begins with a frame."""
        return self.now_s + 1e-9 >= self._frames_due / self.scenario.camera_hz

    def advance(self, until_s: float) -> list[Frame]:
        """Advance in steps of STEP_S; the frames that arrived meanwhile, oldest first."""
        arrived: list[Frame] = []
        while self.now_s + STEP_S / 2 < until_s:
            if self.frame_is_due:
                self._frames_due += 1
                if self.drone.is_seen:
                    self._shoot()
            if self.drone.is_flying:
                self.route.step(STEP_S)
            self.crowd.step(STEP_S, self.hero_place_m, self.drone.position_m[:2], self.drone.velocity_m_s[:2])
            for other in self._others:
                other.step(STEP_S)
            self.drone.step(self.now_s, STEP_S)
            self._step_gimbal()
            self.now_s = round(self.now_s + STEP_S, 6)
            arrived += self._delay.arrived(self.now_s)
        return arrived

    def odometry(self) -> VehicleState:
        """The autopilot's current estimate."""
        return self._odometry.measure(self.drone, self.now_s)

    @property
    def other_walkers(self) -> list[Walker]:
        """All people but the hero."""
        return [*self.crowd.walkers, *(other.walker for other in self._others)]

    @property
    def hero_place_m(self) -> tuple[float, float]:
        return (self.route.walker.x_m, self.route.walker.y_m)

    @property
    def hero_middle_m(self) -> Vector3:
        """The middle of the hero's body in odom."""
        x, y = self.hero_place_m
        middle_m = MIDDLE_M + self.route.walker.seated * (SEATED_MIDDLE_M - MIDDLE_M)
        return (x, y, self._ground(x, y) + middle_m * self._hero_outfit.height_m / BODY_HEIGHT_M)

    def clearance_m(self) -> float:
        """The distance of the drone's middle from the nearest person, taken as a vertical line from feet to head."""
        x, y, z = vector3(self.drone.position_m)
        people = [(self.route.walker, self._hero_outfit), *zip(self.other_walkers, self._outfits, strict=True)]
        nearest = math.inf
        for walker, outfit in people:
            head = self._ground(walker.x_m, walker.y_m) + outfit.height_m
            nearest = min(nearest, math.hypot(x - walker.x_m, y - walker.y_m, max(0.0, z - head)))
        return nearest

    def contact(self) -> str:
        """The object that the drone touches: '', 'a person', or 'the ground or a building'."""
        x, y, z = vector3(self.drone.position_m)
        if not self.drone.is_flying:
            return ""
        if self.clearance_m() < self.drone.parameters.radius_m + 0.25:
            return "a person"
        radius_m = self.drone.parameters.radius_m
        hit = z - self._ground(x, y) < radius_m or self.town.hit((x, y, z), radius_m)
        return "the ground or a building" if hit else ""

    def _shoot(self) -> None:
        pose = self._camera_pose()
        people = [self._view(self.route.walker, self._hero_outfit, HERO_LABEL)]
        people += [
            self._view(walker, outfit, OTHER_PERSON)
            for walker, outfit in zip(self.other_walkers, self._outfits, strict=True)
        ]
        picture = self._renderer.render(self.camera.intrinsics, pose, people, self.scenario.light)
        rgb = expose(picture.rgb, self.scenario.sensor, self._sensor_rng)
        if self._sensor_rng.random() < self.scenario.drop_share:
            self.dropped += 1
            return
        if self.arrives_at_once and self._on_picture is not None:
            self._on_picture(self.now_s, rgb)
        hero = HeroPosition(self.now_s, vector3(pose.rotation.T @ (np.array(self.hero_middle_m) - pose.position_m)))
        self._delay.put(self.now_s, Frame(self.now_s, rgb, self._renderer.labels(), hero))

    def _step_gimbal(self) -> None:
        """The gimbal removes the body's roll and pitch, with a lag."""
        lag_s = self.scenario.gimbal_lag_s
        share = 1.0 - math.exp(-STEP_S / lag_s) if lag_s else 1.0
        self._gimbal_rad += share * (np.array(self.drone.roll_pitch_rad) - self._gimbal_rad)

    def _camera_pose(self) -> CameraPose:
        """The camera's pose: its position turns with the body, and its axes too if it is not stabilised."""
        mount, drone = self.camera.mount, self.drone
        roll, pitch = drone.roll_pitch_rad
        body = rotation_matrix(quaternion_xyzw(roll, pitch, drone.yaw_rad))
        holder = body
        if self.camera.stabilised:
            left_roll, left_pitch = float(roll - self._gimbal_rad[0]), float(pitch - self._gimbal_rad[1])
            holder = rotation_matrix(quaternion_xyzw(left_roll, left_pitch, drone.yaw_rad))
        pitched = look((0.0, 0.0, 0.0), 0.0, mount.pitch_down_rad).rotation
        return CameraPose(drone.position_m + body @ np.array(mount.position_body_m), holder @ pitched)

    def _view(self, walker: Walker, outfit: Outfit, label: int) -> PersonView:
        place = (walker.x_m, walker.y_m, self._ground(walker.x_m, walker.y_m))
        pose = pose_index(walker.phase_rad, walker.speed_m_s, walker.seated)
        return PersonView(place, walker.heading_rad, pose, outfit, label)
