"""One flight with its figures, its video and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fcn_follow.perception.sight import Sight
from fcn_follow.simulation.episode import CameraSetup, Episode, Frame
from fcn_follow.simulation.figures import Figures, figures
from fcn_follow.simulation.flight import Moment, fly
from fcn_follow.simulation.flight_report import write_flight_report
from fcn_follow.simulation.flight_video import FlightVideo
from fcn_follow.simulation.moves import Move
from fcn_follow.simulation.scenarios import Scenario
from fcn_follow.simulation.suite import EyesSpec


def fly_with_report(
    scenario: Scenario,
    seed: int,
    spec: EyesSpec,
    out: Path,
    duration_s: float | None,
    on_frame: Callable[[Frame], None],
    move: Move | None,
) -> tuple[Figures, Path]:
    """Fly, and write NAME_SEED.html and NAME_SEED.webm into the folder `out`; the figures and the page."""
    camera = CameraSetup()
    eyes = spec.open(camera)
    town = scenario.town(seed)
    name = f"{scenario.name}_{seed}"
    video = FlightVideo(out / f"{name}.webm", town, scenario.camera_hz, camera.horizontal_fov_rad / 2)
    with video:

        def watch(episode: Episode, frame: Frame, sight: Sight, now: Moment) -> None:
            video.add_moment(frame.rgb, sight.labels, sight.hero, now)
            on_frame(frame)

        log = fly(scenario, seed, eyes, camera, watch, duration_s, move=move, cast=spec.cast(seed))
    result = figures(log)
    page = out / f"{name}.html"
    write_flight_report(page, log, result, town, out / f"{name}.webm")
    return result, page
