"""The figures of a recording: those of the network, and those of what was published in flight."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fcn_follow.lab.scoring.bag import BagResult, Losses
from fcn_follow.lab.scoring.detection import DetectionFigures, detection_figures
from fcn_follow.lab.scoring.evaluation import Evaluation, summarise


@dataclass(frozen=True)
class FlightFigures:
    """The masks that a node published in flight, judged in the frame's own size.

    `offline` are the figures of the masks that the same weights give here for the same frames; `identical` counts the
    masks that agree in every pixel.
    """

    published: Evaluation
    offline: Evaluation
    identical: int
    latency_ms_median: float
    latency_ms_p90: float

    def figures(self) -> dict[str, object]:
        """The figures for JSON, with the keys of `score`."""
        return {
            "frames": len(self.published.frames),
            "published": _without_skipped(self.published),
            "offline": _without_skipped(self.offline),
            "identical_masks": self.identical,
            "latency_ms_median": self.latency_ms_median,
            "latency_ms_p90": self.latency_ms_p90,
        }


@dataclass(frozen=True)
class BagScore:
    """The figures of a recording. `complete` is False after an interruption."""

    network: Evaluation
    results: tuple[BagResult, ...]
    in_flight: FlightFigures | None
    centroids: DetectionFigures | None
    images: int
    not_scored: dict[str, object]
    complete: bool

    def figures(self) -> dict[str, object]:
        """The figures for JSON: the keys of `score`, and those that only a bag has."""
        return {
            **self.network.figures(),
            "in_flight": None if self.in_flight is None else self.in_flight.figures(),
            "in_flight_centroids": None if self.centroids is None else dataclasses.asdict(self.centroids),
            "images": self.images,
            "not_scored": self.not_scored,
            "complete": self.complete,
        }


def bag_score(
    results: Sequence[BagResult], losses: Losses, image_topic: str, announced: int, *, complete: bool
) -> BagScore:
    """The figures of all judged frames of a bag; `announced` is the number of images that the bag announces."""
    flights = [result.in_flight for result in results if result.in_flight is not None]
    in_flight = None
    if flights:
        latencies_ms = [1e3 * flight.latency_s for flight in flights]
        in_flight = FlightFigures(
            summarise([flight.published for flight in flights]),
            summarise([flight.offline for flight in flights]),
            sum(flight.identical for flight in flights),
            float(np.median(latencies_ms)),
            float(np.percentile(latencies_ms, 90)),
        )
    centroids = [result.centroid for result in results if result.centroid is not None]
    tally = losses.tally
    return BagScore(
        summarise([result.network for result in results], losses.sentences),
        tuple(results),
        in_flight,
        detection_figures(centroids) if centroids else None,
        tally.read.get(image_topic, 0),
        {
            "images_lost": max(0, announced - tally.read.get(image_topic, 0)) if complete else 0,
            "images_without_truth": losses.images_without_truth,
            "images_without": {k: v for k, v in tally.images_without.items() if k != image_topic},
            "without_image": {k: v for k, v in tally.without_image.items() if k != image_topic},
            "stamps_backwards": tally.stamps_backwards,
            "unreadable": len(losses.sentences),
        },
        complete,
    )


def _without_skipped(evaluation: Evaluation) -> dict[str, object]:
    return {key: value for key, value in evaluation.figures().items() if key != "skipped"}
