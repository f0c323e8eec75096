"""The scenarios of the suite: the hero's route, other people, obstacles, wind and faults of the camera.

Unless a scenario says otherwise, the drone starts 5 m west of the hero, looks at it and stays on that side. So when the
hero walks north or south, the drone sees it from the side, past anything between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fcn_follow.errors import UserError, suggestion
from fcn_follow.simulation.camera import Sensor
from fcn_follow.simulation.drone import Wind
from fcn_follow.simulation.renderer import Light
from fcn_follow.simulation.town import Building, Ground, Plant, Town, steps, town_of
from fcn_follow.simulation.walking import Leg, Route

START_DISTANCE_M, START_HEIGHT_M, START_YAW_RAD = 5.0, 2.4, 0.0
CALM, DAY = Wind(), Light()
DUSK = Light(2.6, 0.2, (0.55, 0.36, 0.2), (0.3, 0.28, 0.32), True)
NIGHT = Light(2.6, 0.15, (0.22, 0.15, 0.1), (0.17, 0.16, 0.2), True)
SENSOR = Sensor(blur_px=0.45, noise_levels=1.5)
SHAKE_M = 0.2


@dataclass(frozen=True)
class Other:
    """Another person with a separate route, which starts SHAKE_M (standard deviation) beside start_m."""

    start_m: tuple[float, float]
    legs: tuple[Leg, ...]
    is_twin: bool = False
    """Dressed as the hero."""

    def route(self, rng: np.random.Generator) -> Route:
        x, y = (float(place + shake) for place, shake in zip(self.start_m, rng.normal(0.0, SHAKE_M, 2), strict=True))
        return Route((x, y), self.legs)


@dataclass(frozen=True)
class Scenario:
    """One kind of flight. Positions are in metres in the town; `drone_from_hero_m` is east and north of the hero."""

    name: str
    description: str
    start_m: tuple[float, float]
    legs: tuple[Leg, ...]
    duration_s: float = 30.0
    drone_from_hero_m: tuple[float, float] = (-START_DISTANCE_M, 0.0)
    crowd: int = 4
    crowd_region_m: tuple[float, float, float, float] = (-30.0, -30.0, 30.0, 30.0)
    lookalike: bool = False
    others: tuple[Other, ...] = ()
    walls: tuple[Building, ...] = ()
    trees: tuple[Plant, ...] = ()
    grounds: tuple[Ground, ...] = ()
    wind: Wind = CALM
    latency_s: float = 0.05
    drop_share: float = 0.0
    camera_hz: float = 20.0
    light: Light = DAY
    sensor: Sensor = SENSOR
    gimbal_lag_s: float = 0.0
    """Time constant with which the gimbal removes roll and pitch."""
    pitch_error_rad: float = 0.0
    """How much further down the camera looks than the parameter says."""
    hero_height_m: float | None = None
    """Replaces the height in the hero's outfit."""
    must_report: str = ""
    """A text that the follower's reason must contain."""
    occlusion_s: float = 0.0
    misleads_height: bool = False
    """The hero is partly hidden or sits, so that its apparent height gives a wrong distance."""

    @property
    def long_occlusion(self) -> bool:
        """Whether the hero is hidden for so long that it cannot stay in the frame."""
        return self.occlusion_s >= 5.0

    def town(self, seed: int) -> Town:
        """The town of this seed with the scenario's obstacles."""
        return town_of(seed, self.walls, self.trees, self.grounds)


def _row(*legs: tuple[float, float, float] | tuple[float, float, float, float]) -> tuple[Leg, ...]:
    return tuple(Leg((leg[0], leg[1]), leg[2], leg[3] if len(leg) == 4 else 0.0) for leg in legs)


def _hedge(x_m: float, south_m: float, north_m: float) -> tuple[Plant, ...]:
    """Cypresses so close together that they hide a person who walks behind them."""
    count = math.ceil((north_m - south_m) / 0.85)
    step = (north_m - south_m) / count
    return tuple(Plant("cypress", (x_m, south_m + step * (i + 0.5)), 0.5, 3.6) for i in range(count))


_SQUARE = (-18.0, -18.0, 18.0, 18.0)
_CAR_PARK = (-71.0, -30.0, -50.0, 30.0)
_CAR_PARK_START = (-74.0, -12.0)
_NORTH_WALK = _row((-74.0, -9.0, 1.4), (-74.0, 14.0, 1.4))

_STOPS = _row((-10.0, 5.0, 1.4, 3.0), (-4.0, 5.5, 1.6, 2.0), (4.0, 5.5, 1.8, 4.0), (10.0, 5.5, 1.4, 1.0), (16, 5, 1.4))
_BEND = _row((-4.0, -6.0, 1.4), (9.0, -14.5, 1.4))

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "tour", "strolls across the square, stops, turns, runs a little", (-17.0, -6.0),
        _row((-3.0, -6.0, 1.4, 2.0), (8.0, -6.5, 1.5), (8.5, 6.0, 1.4), (2.0, 8.0, 1.4, 2.0), (-9.0, 7.0, 3.0),
             (-10.0, -6.0, 1.5), (6.0, -7.0, 1.4), (8.0, 6.0, 1.4)),
        duration_s=60.0, crowd=10, crowd_region_m=_SQUARE,
    ),
    Scenario("straight", "walks straight ahead across the square", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), crowd=3),
    Scenario(
        "turns", "walks a rectangle with sharp corners", (-11.0, -8.0),
        _row((-5.0, -8.0, 1.4), (-5.0, 5.5, 1.4), (-11.0, 5.5, 1.4), (-11.0, -8.0, 1.4), (-5.0, -8.0, 1.4)),
    ),
    Scenario(
        "stop_and_go", "walks and stands by turns", (-16.0, 5.0),
        _STOPS,
    ),
    Scenario(
        "running", "runs along the road", (-34.0, 40.0), _row((-28.0, 40.0, 1.5), (60.0, 40.0, 3.5)),
        crowd=4, crowd_region_m=(-30.0, 30.0, 60.0, 48.0),
    ),
    Scenario(
        "u_turn", "turns round and walks towards the drone", (-12.0, -5.0),
        _row((0.0, -5.5, 1.4), (-14.0, -5.5, 1.4), (-4.0, -5.0, 1.4)),
    ),
    Scenario(
        "crowd", "walks through a crowd that crosses the way", (-17.0, 5.0), _row((17.0, 5.5, 1.3)), crowd=18,
        crowd_region_m=_SQUARE,
    ),
    Scenario(
        "trees_2s", "walks behind a row of trees, hidden for 2 s", _CAR_PARK_START, _NORTH_WALK, crowd=2,
        crowd_region_m=_CAR_PARK, trees=_hedge(-76.2, -2.0, 0.2), occlusion_s=2.0,
    ),
    Scenario(
        "trees_5s", "walks behind a row of trees, hidden for 5 s", _CAR_PARK_START, _NORTH_WALK, crowd=2,
        crowd_region_m=_CAR_PARK, trees=_hedge(-76.2, -4.0, 2.4), occlusion_s=5.0,
    ),
    Scenario(
        "corner_2s", "walks behind a building's corner, hidden for 2 s", _CAR_PARK_START, _NORTH_WALK, crowd=2,
        crowd_region_m=_CAR_PARK, walls=(Building((-76.3, -1.0), (0.8, 2.3), 3.0, 0),), occlusion_s=2.0,
    ),
    Scenario(
        "corner_5s", "walks behind a building's corner, hidden for 5 s", _CAR_PARK_START, _NORTH_WALK, crowd=2,
        crowd_region_m=_CAR_PARK, walls=(Building((-76.3, -1.5), (0.8, 6.5), 3.0, 0),), occlusion_s=5.0,
    ),
    Scenario(
        "sits", "walks a little, sits down, and walks on", (-16.0, 5.0),
        (Leg((-12.0, 5.0), 1.4, 16.0, sits=True), Leg((8.0, 5.5), 1.4)), crowd=3, misleads_height=True,
    ),
    Scenario(
        "half_hidden", "walks behind a wall, hidden to the waist", _CAR_PARK_START, _NORTH_WALK, crowd=2,
        crowd_region_m=_CAR_PARK, walls=(Building((-74.75, 1.0), (0.3, 19.0), 1.15, 0),), misleads_height=True,
    ),
    Scenario(
        "lookalike", "meets a person in red trousers", (-16.0, 5.0), _row((16.0, 5.5, 1.4)), crowd=5,
        crowd_region_m=_SQUARE, lookalike=True,
    ),
    Scenario(
        "leaves_frame", "leaves the picture when a gust spins the drone, and walks on aside", (-14.0, 5.0),
        _row((-5.0, 5.0, 1.4), (-5.0, -9.0, 2.0), (8.0, -9.0, 1.4)), wind=Wind(spin_rad_s=2.2, spin_from_s=8.0),
    ),
    Scenario(
        "starts_behind", "starts behind the drone and walks past it", (-16.0, -8.0), _row((16.0, -6.0, 1.4)),
        drone_from_hero_m=(3.0, 2.8),
    ),
    Scenario(
        "gusts", "wind of 5 m/s with gusts", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), crowd=3,
        wind=Wind((2.0, 4.5, 0.0), 1.5),
    ),
    Scenario("bend", "walks round a bend; nothing is wrong, for comparison with the next three", (-16.0, -6.0), _BEND),
    Scenario("latency", "the camera is 200 ms late", (-16.0, -6.0), _BEND, latency_s=0.2),
    Scenario("drops", "every fifth frame is lost", (-16.0, -6.0), _BEND, drop_share=0.2),
    Scenario("slow_camera", "5 frames a second", (-16.0, -6.0), _BEND, camera_hz=5.0),
    Scenario("dusk", "low sun and long shadows", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), light=DUSK),
    Scenario(
        "low_light", "hardly any light, and a noisy picture", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), light=NIGHT,
        sensor=Sensor(blur_px=0.7, noise_levels=6.0),
    ),
    Scenario(
        "stops_hidden", "stops the moment it is hidden by trees, for 3 s, and walks on", _CAR_PARK_START,
        _row((-74.0, -9.0, 1.4), (-74.0, -1.8, 1.4, 3.0), (-74.0, 14.0, 1.4)), crowd=2, crowd_region_m=_CAR_PARK,
        trees=_hedge(-76.2, -2.6, 0.2), occlusion_s=5.0,
    ),
    Scenario(
        "twins", "meets a person in the same clothes, who crosses the way in front", (-16.0, 5.0),
        _row((16.0, 5.5, 1.4)), crowd=2, crowd_region_m=_SQUARE,
        others=(Other((4.0, 12.0), _row((4.0, 12.0, 1.4, 7.0), (4.5, -8.0, 1.4)), is_twin=True),),
    ),
    Scenario(
        "sits_behind_others", "sits down, and others come and stand in front", (-16.0, 5.0),
        (Leg((-6.0, 5.0), 1.4, 16.0, sits=True), Leg((10.0, 5.5), 1.4)), crowd=2, misleads_height=True,
        others=(
            Other((-7.3, 11.5), _row((-7.3, 11.5, 1.4, 5.0), (-7.3, 5.6, 1.4, 8.0), (-7.3, 11.5, 1.4))),
            Other((-7.0, -1.5), _row((-7.0, -1.5, 1.4, 6.0), (-7.0, 4.5, 1.4, 8.0), (-7.0, -1.5, 1.4))),
        ),
    ),
    Scenario(
        "slow_late_camera", "5 frames a second, 200 ms late", (-16.0, -6.0), _BEND, camera_hz=5.0, latency_s=0.2,
    ),
    Scenario(
        "storm", "wind of 8 m/s with gusts", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), crowd=3,
        wind=Wind((3.3, 7.3, 0.0), 2.0),
    ),
    Scenario(
        "hill", "walks up a slope of 3 m", (-18.0, -6.0), _row((18.0, -6.0, 1.4)), crowd=0,
        grounds=steps(-8.0, (-9.5, -3.5), 30, 0.5, 0.1, 14.0),
    ),
    Scenario(
        "stairs", "climbs stairs of 2 m", (-18.0, -6.0), _row((18.0, -6.0, 1.4)), crowd=0,
        grounds=steps(-6.0, (-9.5, -3.5), 12, 0.3, 0.17, 26.0),
    ),
    Scenario(
        "sprint", "runs along the road at 6 m/s", (-34.0, 40.0), _row((-28.0, 40.0, 1.5), (66.0, 40.0, 6.0)),
        duration_s=26.0, crowd=2, crowd_region_m=(-30.0, 30.0, 60.0, 48.0),
    ),
    Scenario(
        "starts_far", "starts 15 m away from the drone", (-6.0, 5.0), _row((16.0, 5.5, 1.4)), crowd=2,
        drone_from_hero_m=(-15.0, 0.0),
    ),
    Scenario("slow_gimbal", "the gimbal lags by 0.2 s", (-16.0, 5.0), _STOPS, gimbal_lag_s=0.2),
    Scenario(
        "wrong_pitch", "the camera looks 5 degrees further down than its parameter says", (-18.0, -5.0),
        _row((17.0, -5.5, 1.4)), crowd=0, pitch_error_rad=math.radians(5.0), must_report="camera.pitch_down_rad",
    ),
    Scenario(
        "tall", "a hero of 1.9 m, where the parameter says 1.7 m", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), crowd=0,
        hero_height_m=1.9,
    ),
    Scenario(
        "short", "a hero of 1.5 m, where the parameter says 1.7 m", (-18.0, -5.0), _row((17.0, -5.5, 1.4)), crowd=0,
        hero_height_m=1.5,
    ),
)  # fmt: skip


def find_scenario(name: str) -> Scenario:
    """The scenario with this name. Raises UserError, which suggests a similar name, if there is none."""
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    if name not in by_name:
        raise UserError(f"there is no scenario '{name}'; {suggestion(name, by_name)}")
    return by_name[name]
