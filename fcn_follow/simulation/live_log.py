"""The log of a flight whose segmenter and follower are other processes, which send all but the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.files import make_folder
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.sight import Sight
from fcn_follow.simulation.episode import Episode, Frame
from fcn_follow.simulation.eyes import MIN_AREA_PX
from fcn_follow.simulation.figures import figures
from fcn_follow.simulation.flight import FlightLog, follower_parameters, judged, moment
from fcn_follow.simulation.flight_video import FlightVideo

_KEPT_FRAMES = 40
_SAME_STAMP_S = 1e-4
_LOOKS_PER_IMAGE = 2
"""Number of perceived frames for an image of the video: drawing and encoding slow the flight down."""


class LiveLog:
    """Call `add` at each step; `write` at the end writes flight.html and flight.webm into the folder."""

    def __init__(self, episode: Episode, seed: int, folder: Path) -> None:
        make_folder(folder, "report")
        self._episode, self._folder = episode, folder
        self._log = FlightLog(episode.scenario, seed, follower_parameters(episode.camera))
        self._waiting: list[Frame] = []
        self._command = ZERO_COMMAND
        self._video = FlightVideo(
            folder / "flight.webm",
            episode.town,
            episode.scenario.camera_hz / _LOOKS_PER_IMAGE,
            episode.camera.horizontal_fov_rad / 2,
        )

    def add(
        self,
        frames: Sequence[Frame],
        looks: Sequence[tuple[float, float, NDArray[np.uint8]]],
        commands: Sequence[tuple[float, VelocityCommand]],
        state: str,
        clock_s: float,
    ) -> None:
        """Add what happened since the last call: frames sent, looks (stamp, arrival, labels), commands with stamps.

        clock_s is the follower's time since the begin of the flight, as in the commands' stamps: on a slow machine the
        flight's own time falls behind it.
        """
        self._log.commands.extend(commands)
        if commands:
            self._command = commands[-1][1]
        now = replace(moment(self._episode, self._command, state, None), stepped_s=clock_s)
        self._log.moments.append(now)
        self._waiting = [*self._waiting, *frames][-_KEPT_FRAMES:]
        for stamp_s, arrived_s, labels in looks:
            frame = next((f for f in self._waiting if abs(f.stamp_s - stamp_s) < _SAME_STAMP_S), None)
            if frame is None or labels.shape != frame.labels.shape:
                continue
            hero = find_hero(labels, MIN_AREA_PX)
            self._log.looks.append(judged(frame, Sight(labels, hero, None), arrived_s))
            if len(self._log.looks) % _LOOKS_PER_IMAGE:
                continue
            self._video.add_moment(frame.rgb, labels, hero, now)

    def write(self, contact: str) -> Path | None:
        """Write the report and return its path, or None if nothing flew."""
        from fcn_follow.simulation.flight_report import write_flight_report  # matplotlib takes seconds to import

        self._video.close()
        if not self._log.moments:
            return None
        self._log.contact = contact
        page = self._folder / "flight.html"
        video = self._folder / "flight.webm"
        write_flight_report(page, self._log, figures(self._log), self._episode.town, video)
        return page
