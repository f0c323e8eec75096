"""One flight with its figures, its video and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.files import make_folder
from fcn_follow.images.pictures import write_picture
from fcn_follow.lab.recordings.truth import mask_picture
from fcn_follow.perception.sight import Sight
from fcn_follow.simulation.episode import CameraSetup, Episode, Frame
from fcn_follow.simulation.figures import Figures, figures
from fcn_follow.simulation.flight import Moment, fly
from fcn_follow.simulation.flight_report import write_flight_report
from fcn_follow.simulation.flight_video import FlightVideo
from fcn_follow.simulation.moves import Move
from fcn_follow.simulation.scenarios import Scenario
from fcn_follow.simulation.suite import EyesSpec


class FrameRecorder:
    """Writes the frames of a flight and their true masks into a new folder, in the form that `open_frames` reads.

    Raises UserError where the folder holds something, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"--record {folder} holds other files; give a folder that is new or empty")
        self._folder, self._count = folder, 0
        for name in ("images", "masks"):
            make_folder(folder / name, "--record")

    def add(self, frame: Frame) -> None:
        """Write the next frame."""
        write_picture(self._folder / f"images/{self._count:06d}.png", frame.rgb[..., ::-1])
        write_picture(self._folder / f"masks/{self._count:06d}.png", mask_picture(frame.labels)[..., ::-1])
        self._count += 1


def fly_with_report(
    scenario: Scenario,
    seed: int,
    spec: EyesSpec,
    out: Path,
    duration_s: float | None = None,
    on_frame: Callable[[float], None] = lambda now_s: None,
    move: Move | None = None,
    record: Callable[[Frame], None] | None = None,
) -> tuple[Figures, Path]:
    """Fly, and write NAME_SEED.html and NAME_SEED.webm into the folder `out`; the figures and the page.

    `on_frame` gets the time of each frame, `record` the frame.
    """
    camera = CameraSetup()
    eyes = spec.open(camera)
    town = scenario.town(seed)
    name = f"{scenario.name}_{seed}"
    video = FlightVideo(out / f"{name}.webm", town, scenario.camera_hz, camera.horizontal_fov_rad / 2)
    with video:

        def watch(episode: Episode, frame: Frame, sight: Sight, now: Moment) -> None:
            video.add_moment(frame.rgb, sight.labels, sight.hero, now)
            on_frame(now.now_s)
            if record:
                record(frame)

        log = fly(scenario, seed, eyes, camera, watch, duration_s, move=move, cast=spec.cast(seed))
    result = figures(log)
    page = out / f"{name}.html"
    write_flight_report(page, log, result, town, out / f"{name}.webm")
    return result, page
