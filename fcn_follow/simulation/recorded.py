"""One flight with everything kept of it: figures, a video, a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.perception.sight import Sight
from fcn_follow.simulation.episode import CameraSetup, Episode, Frame
from fcn_follow.simulation.figures import Figures, figures
from fcn_follow.simulation.flight import Moment, fly
from fcn_follow.simulation.report import write_flight_report
from fcn_follow.simulation.scenarios import Scenario
from fcn_follow.simulation.suite import EyesSpec
from fcn_follow.simulation.video import FlightVideo
from fcn_follow.simulation.world import town_of


def fly_recorded(
    scenario: Scenario,
    seed: int,
    spec: EyesSpec,
    out: Path,
    duration_s: float | None = None,
    tell: Callable[[float], None] = lambda now_s: None,
) -> tuple[Figures, Path]:
    """Fly, and write NAME_SEED.html and NAME_SEED.webm into `out`; the figures and the page.

    `tell` hears the time of each frame. Raises UserError where `out` cannot be written.
    """
    camera = CameraSetup()
    eyes = spec.open(camera)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from error
    town = town_of(seed, scenario.walls, scenario.trees)
    name = f"{scenario.name}_{seed}"
    with FlightVideo(out / f"{name}.webm", town, scenario.camera_hz, 240, camera.horizontal_fov_rad / 2) as video:

        def watch(episode: Episode, frame: Frame, sight: Sight, now: Moment) -> None:
            caption = f"{now.now_s:5.1f} s  {now.state}"
            place = (now.drone_m, now.drone_yaw_rad, now.hero_m, now.people_m)
            video.add(frame.rgb, sight.labels, sight.hero, *place, caption)
            tell(now.now_s)

        log = fly(scenario, seed, eyes, camera, watch, duration_s)
    result = figures(log)
    page = out / f"{name}.html"
    write_flight_report(page, log, result, town, out / f"{name}.webm")
    return result, page
