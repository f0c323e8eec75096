"""The closed loop in lockstep: simulator, perception, follower, command; and the log of every step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fcn_follow.following.follower import Follower
from fcn_follow.following.parameters import FollowerCameraParameters, FollowerParameters
from fcn_follow.geometry import Vector3, VelocityCommand, vector3
from fcn_follow.perception.sight import Sight
from fcn_follow.simulation.episode import CameraSetup, Episode, Frame
from fcn_follow.simulation.eyes import Eyes
from fcn_follow.simulation.faults import Injector, Seen
from fcn_follow.simulation.moves import Move
from fcn_follow.simulation.outfits import Cast
from fcn_follow.simulation.renderer import HERO as HERO_LABEL
from fcn_follow.simulation.renderer import OTHER_PERSON
from fcn_follow.simulation.scenarios import Scenario

FOLLOWER_STEP_S = 0.02
OWN_SHARE = 0.1
ASKING = "segmenter asks: "
"""How the follower's reason begins while the user is asked who the hero is."""
DRONE_RESPONSE_S = 0.3
"""The time constant of simulation/drone.py, as in config/simulator.yaml."""


@dataclass(frozen=True)
class Moment:
    """The flight at one step of the follower; positions in odom. `estimate_m` is the follower's estimate of the hero.

    `wanted` is the command before the limits, `limited_by` the limits that changed it, `reason` the reason of the state
    (unknown over topics), `stepped_s` the time of the command by the follower's clock.
    """

    now_s: float
    drone_m: Vector3
    drone_velocity_m_s: Vector3
    drone_acceleration_m_s2: Vector3
    drone_yaw_rad: float
    hero_m: Vector3
    people_m: tuple[tuple[float, float], ...]
    command: VelocityCommand
    state: str
    estimate_m: Vector3 | None
    clearance_m: float
    wanted: VelocityCommand | None = None
    limited_by: tuple[str, ...] = ()
    reason: str = ""
    stepped_s: float = 0.0


@dataclass(frozen=True)
class Look:
    """The result of one perceived frame: the hero's visible area, the errors of its detection, the latency."""

    stamp_s: float
    latency_s: float
    hero_px: int
    seen: bool
    iou: float
    centroid_error_px: float
    on_hero: bool
    on_other: bool
    """Less than OWN_SHARE of the people's pixels in the found hero belong to the true hero."""


@dataclass
class FlightLog:
    """The log of a flight. `contact` is the object that ended it early, or ''.

    `commands` are those of a flight over topics, with stamps in s by the follower's clock, as `Moment.stepped_s`.
    """

    scenario: Scenario
    seed: int
    parameters: FollowerParameters
    moments: list[Moment] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    commands: list[tuple[float, VelocityCommand]] = field(default_factory=list)
    contact: str = ""


def follower_parameters(camera: CameraSetup) -> FollowerParameters:
    """The follower's defaults with this camera's mount and this drone's response."""
    mount = camera.mount
    mounted = FollowerCameraParameters(mount.pitch_down_rad, camera.stabilised, *mount.position_body_m)
    defaults = FollowerParameters()
    vehicle = dataclasses.replace(defaults.vehicle, response_s=DRONE_RESPONSE_S)
    return dataclasses.replace(defaults, camera=mounted, vehicle=vehicle)


def fly(
    scenario: Scenario,
    seed: int,
    eyes: Eyes,
    camera: CameraSetup | None = None,
    watch: Callable[[Episode, Frame, Sight, Moment], None] | None = None,
    duration_s: float | None = None,
    injector: Injector | None = None,
    move: Move | None = None,
    cast: Cast | None = None,
) -> FlightLog:
    """Fly a scenario to its end or to a contact; `watch` is called for every perceived frame, `move` moves set points.

    The log's parameters hold the set points at the start.
    """
    injector = injector or Injector()
    camera = camera or CameraSetup()
    parameters = follower_parameters(camera)
    log = FlightLog(scenario, seed, parameters)
    follower = Follower(parameters, enabled=True)
    question = ""
    with Episode(scenario, seed, camera, cast) as episode:
        for tick in range(round((duration_s or scenario.duration_s) / FOLLOWER_STEP_S)):
            now_s = round(tick * FOLLOWER_STEP_S, 6)
            looked = [(frame, eyes.look(frame)) for frame in episode.advance(now_s)]
            for frame, sight in looked:
                log.looks.append(judged(frame, sight, now_s))
                question = f"{ASKING}{sight.choice.asks}" if sight.choice and sight.choice.asks else ""
                hero = sight.position.position_camera_m if sight.position else None
                seen = injector.seen(now_s, Seen(frame.stamp_s, hero, sight.people))
                if seen is not None:
                    follower.observe_frame(seen.stamp_s)
                    follower.observe_people(seen.stamp_s, seen.people_camera_m)
                    if seen.hero is not None:
                        follower.observe_hero(seen.hero)
            if injector.restarts(now_s):
                follower = Follower(parameters, enabled=True)
            state = injector.odometry(now_s, episode.odometry())
            if state is not None:
                follower.observe_vehicle(state)
            if move is not None and (points := move(now_s)) != follower.parameters.set_points:
                follower.set_parameters(dataclasses.replace(parameters, set_points=points))
            if injector.runs(now_s):
                step = follower.step(now_s, question)
                if injector.reaches_the_drone(now_s):
                    episode.command(step.command)
            estimate = step.hero.position_odom_m if step.hero else None
            now = moment(episode, step.command, step.state.value, estimate)
            log.moments.append(
                dataclasses.replace(
                    now, wanted=step.wanted, limited_by=step.limited_by, reason=step.reason, stepped_s=step.now_s
                )
            )
            if watch:
                for frame, sight in looked:
                    watch(episode, frame, sight, log.moments[-1])
            log.contact = episode.contact()
            if log.contact:
                break
    return log


def moment(episode: Episode, command: VelocityCommand, state: str, estimate_m: Vector3 | None) -> Moment:
    """The current truth and the follower's command and state."""
    drone = episode.drone
    return Moment(
        episode.now_s,
        vector3(drone.position_m),
        vector3(drone.velocity_m_s),
        vector3(drone.acceleration_m_s2),
        drone.yaw_rad,
        episode.hero_middle_m,
        tuple((walker.x_m, walker.y_m) for walker in episode.other_walkers),
        command,
        state,
        estimate_m,
        episode.clearance_m(),
        stepped_s=episode.now_s,
    )


def judged(frame: Frame, sight: Sight, now_s: float) -> Look:
    """The perception of a frame compared with the truth."""
    truth = frame.labels == HERO_LABEL
    found = sight.labels == HERO_LABEL
    union = int((truth | found).sum())
    error, on_hero = math.nan, False
    on_other = False
    if sight.hero:
        others_px = int((found & (frame.labels == OTHER_PERSON)).sum())
        on_other = int((found & truth).sum()) * (1.0 - OWN_SHARE) < OWN_SHARE * others_px
        x, y = sight.hero.centroid_px
        box = sight.hero.box
        on_hero = bool(truth[box.top_px : box.bottom_px, box.left_px : box.right_px].any())
        if truth.any():
            rows, columns = np.nonzero(truth)
            error = float(math.hypot(columns.mean() - x, rows.mean() - y))
    iou = float((truth & found).sum() / union) if union else math.nan
    seen = sight.hero is not None
    return Look(frame.stamp_s, now_s - frame.stamp_s, int(truth.sum()), seen, iou, error, on_hero, on_other)
