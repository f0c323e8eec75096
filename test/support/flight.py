"""A flight in a few lines: a drone that takes up velocities with a lag, a hero on a path, a camera that lags."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fcn_follow.coordinates import rotated, wrapped
from fcn_follow.following.follower import Follower, FollowerStep
from fcn_follow.following.parameters import FollowerParameters, VehicleParameters
from fcn_follow.geometry import ZERO_COMMAND, VehicleState
from fcn_follow.simulation.faults import Injector, Seen

STEP_S = 0.02
HERO_MIDDLE_M = 0.87
HORIZONTAL_HALF_VIEW_RAD = math.radians(37.5)
VERTICAL_HALF_VIEW_RAD = math.atan(math.tan(HORIZONTAL_HALF_VIEW_RAD) * 240 / 320)

Path = Callable[[float], tuple[float, float]]


def straight(speed_m_s: float = 1.4) -> Path:
    return lambda t: (5.0 + speed_m_s * max(0.0, t - 3.0), 0.0)


def turns(speed_m_s: float = 1.4, side_s: float = 6.0) -> Path:
    """A square with sharp corners."""

    def path(t: float) -> tuple[float, float]:
        t = max(0.0, t - 3.0)
        side = speed_m_s * side_s
        corner, rest = divmod(t, side_s)
        corners = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)]
        (x0, y0), (x1, y1) = corners[int(corner) % 4], corners[(int(corner) + 1) % 4]
        share = rest / side_s
        return 5.0 + x0 + share * (x1 - x0), y0 + share * (y1 - y0)

    return path


def slalom(speed_m_s: float = 1.4) -> Path:
    return lambda t: (5.0 + speed_m_s * t, 3.0 * math.sin(0.4 * t))


def running(speed_m_s: float = 3.5) -> Path:
    """Standing, then running, turning back after 20 s."""

    def path(t: float) -> tuple[float, float]:
        t = max(0.0, t - 3.0)
        turn_rate = 0.35
        before = min(t, 12.0)
        x, y = 5.0 + speed_m_s * before, 0.0
        if t > 12.0:
            angle = min(turn_rate * (t - 12.0), math.pi)
            radius = speed_m_s / turn_rate
            x, y = x + radius * math.sin(angle), y + radius * (1 - math.cos(angle))
            x -= speed_m_s * max(0.0, t - 12.0 - math.pi / turn_rate)
        return x, y

    return path


@dataclass
class Flight:
    """What to fly; `fly` fills the lists, one entry a step."""

    path: Path
    duration_s: float = 40.0
    seed: int = 0
    parameters: FollowerParameters = field(default_factory=lambda: FollowerParameters(vehicle=VehicleParameters(0.3)))
    rate_hz: float = 15.0
    latency_s: float = 0.08
    drop_share: float = 0.03
    range_noise: float = 0.04
    angle_noise_rad: float = 0.006
    occluded: tuple[tuple[float, float], ...] = ()
    with_odom: bool = True
    velocity_lag_s: float = 0.3
    flies_turned_rad: float = 0.0
    """To the left of what is commanded: the command is taken as one in other axes."""
    yaw_lag_s: float = 0.15
    start: tuple[float, float, float, float] = (0.0, 0.0, 2.4, 0.0)
    frames_end_s: float = math.inf
    at: Callable[[float, Follower], None] = lambda t, follower: None
    injector: Injector = field(default_factory=Injector)

    times: list[float] = field(default_factory=list)
    steps: list[FollowerStep] = field(default_factory=list)
    distances_m: list[float] = field(default_factory=list)
    heights_m: list[float] = field(default_factory=list)
    in_view: list[bool] = field(default_factory=list)
    drone_m: list[tuple[float, float, float]] = field(default_factory=list)
    velocities_m_s: list[tuple[float, float]] = field(default_factory=list)

    def approach_m(self, begin_s: float = 0.0) -> float:
        """The least distance to the hero at which the drone moved towards it at more than 0.5 m/s by itself."""
        nearest_m = math.inf
        for t, (x, y, _), (vx, vy) in zip(self.times, self.drone_m, self.velocities_m_s, strict=True):
            hero_x, hero_y = self.path(t)
            away_m = math.hypot(hero_x - x, hero_y - y)
            if t >= begin_s and (hero_x - x) * vx + (hero_y - y) * vy > 0.5 * away_m:
                nearest_m = min(nearest_m, away_m)
        return nearest_m

    def fly(self) -> Flight:
        rng = random.Random(self.seed)
        follower = self.follower = Follower(self.parameters)
        follower.enable(True)
        x, y, z, yaw = self.start
        vx = vy = vz = yaw_rate = 0.0
        waiting: list[tuple[float, float, tuple[float, float, float] | None]] = []
        next_frame_s = 0.0
        for index in range(int(self.duration_s / STEP_S)):
            t = index * STEP_S
            hero_x, hero_y = self.path(t)
            dx, dy, dz = hero_x - x, hero_y - y, HERO_MIDDLE_M - z
            forward, left = rotated(dx, dy, -yaw)
            pitch = self.parameters.camera.pitch_down_rad
            depth = forward * math.cos(pitch) - dz * math.sin(pitch)
            right, down = -left, -(dz * math.cos(pitch) + forward * math.sin(pitch))
            view = (
                depth > 0.3
                and abs(math.atan2(right, depth)) < HORIZONTAL_HALF_VIEW_RAD
                and abs(math.atan2(down, depth)) < VERTICAL_HALF_VIEW_RAD
            )
            if t >= next_frame_s and t < self.frames_end_s:
                next_frame_s += 1.0 / self.rate_hz
                seen = view and not any(a <= t < b for a, b in self.occluded)
                position = None
                if seen and rng.random() >= self.drop_share:
                    scale = 1.0 + rng.gauss(0.0, self.range_noise)
                    position = (
                        (right + rng.gauss(0.0, self.angle_noise_rad) * depth) * scale,
                        (down + rng.gauss(0.0, self.angle_noise_rad) * depth) * scale,
                        depth * scale,
                    )
                waiting.append((t + self.latency_s, t, position))
            while waiting and waiting[0][0] <= t + 1e-9:
                _, stamp_s, position = waiting.pop(0)
                seen = self.injector.seen(t, Seen(stamp_s, position))
                if seen:
                    follower.observe_frame(seen.stamp_s)
                    follower.observe_people(seen.stamp_s, seen.people_camera_m)
                    if seen.hero:
                        follower.observe_hero(seen.hero)
            if self.with_odom:
                orientation = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
                state = VehicleState(t, (x, y, z), orientation, (vx, vy, vz), yaw_rate)
                if odometry := self.injector.odometry(t, state):
                    follower.observe_vehicle(odometry)
            self.at(t, follower)
            if self.injector.restarts(t):
                follower = self.follower = Follower(self.parameters, enabled=True)
            if self.injector.runs(t):
                step = follower.step(t)
            self.times.append(t)
            self.steps.append(step)
            self.distances_m.append(math.hypot(dx, dy))
            self.heights_m.append(-dz)
            self.in_view.append(view)
            self.drone_m.append((x, y, z))

            self.velocities_m_s.append((vx, vy))
            command = step.command if self.injector.reaches_the_drone(t) else ZERO_COMMAND
            wanted_vx, wanted_vy = rotated(command.forward_m_s, command.left_m_s, yaw + self.flies_turned_rad)
            share, yaw_share = STEP_S / self.velocity_lag_s, STEP_S / self.yaw_lag_s
            vx, vy, vz = (
                vx + share * (wanted_vx - vx),
                vy + share * (wanted_vy - vy),
                vz + share * (command.up_m_s - vz),
            )
            yaw_rate += yaw_share * (command.yaw_rate_rad_s - yaw_rate)
            x, y, z, yaw = x + vx * STEP_S, y + vy * STEP_S, z + vz * STEP_S, wrapped(yaw + yaw_rate * STEP_S)
        return self

    def after(self, begin_s: float) -> slice:
        return slice(int(begin_s / STEP_S), None)

    def distance_rms_m(self, begin_s: float = 3.0) -> float:
        wanted = self.parameters.set_points.distance_m
        return float(np.sqrt(np.mean((np.array(self.distances_m[self.after(begin_s)]) - wanted) ** 2)))

    def in_view_share(self, begin_s: float = 0.0) -> float:
        return float(np.mean(self.in_view[self.after(begin_s)]))

    def yaw_sign_changes_1_s(self, begin_s: float = 6.0) -> float:
        rates = np.array([step.command.yaw_rate_rad_s for step in self.steps[self.after(begin_s)]])
        signs = np.sign(rates[rates != 0.0])
        return float(np.sum(signs[1:] != signs[:-1]) / (len(rates) * STEP_S))
