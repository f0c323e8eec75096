"""`fcn-follow score-bag` and `label`: the score of a recording, and frames to correct and train on."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.cli.bags import (
    BagPath,
    GazeboHero,
    GazeboPeople,
    ImageTopic,
    Tolerance,
    TruthTopic,
    print_losses,
    print_unpaired,
)
from fcn_follow.cli.options import Device, EngineName, Json, Precision, WeightsFile
from fcn_follow.cli.scoring import engine_name, scored_network
from fcn_follow.errors import UserError
from fcn_follow.files import make_folder, write_whole
from fcn_follow.inference.choice import REFERENCE, EngineRequest
from fcn_follow.inference.exported import choose_for, load_model, request_for
from fcn_follow.lab.console import console, output, progress_bar
from fcn_follow.lab.recordings.frame_folders import FrameFolder, decoded
from fcn_follow.lab.recordings.reading import Bag, open_bag
from fcn_follow.lab.recordings.topics import BagTopics, choose_topics
from fcn_follow.lab.recordings.truth import TrueLabels, open_mask_folder
from fcn_follow.lab.scoring.bag import BagResult, Losses, Reading, bag_frames, score_bag
from fcn_follow.lab.scoring.bag_figures import BagScore, bag_score
from fcn_follow.lab.scoring.bag_report import WorstPictures, write_bag_report
from fcn_follow.lab.scoring.bag_video import BagVideo
from fcn_follow.lab.scoring.predict import predictions
from fcn_follow.lab.scoring.prefetch import prefetch
from fcn_follow.lab.scoring.tables import percent, print_evaluation
from fcn_follow.perception.labels import labels_of
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.share import default_weights

FRAMES_AHEAD = 4  # read and predicted before they are scored; this bounds the memory


def score_recording(
    bag: BagPath,
    weights: WeightsFile = None,
    image_topic: ImageTopic = "",
    truth_topic: TruthTopic = "",
    truth: Annotated[
        Path | None,
        typer.Option(help="A folder of true masks named by stamp or index (what `label` wrote, corrected)."),
    ] = None,
    tolerance: Tolerance = 0.0,
    gazebo_hero: GazeboHero = 2,
    gazebo_people: GazeboPeople = [1],  # noqa: B006 (typer's way)
    report: Annotated[Path | None, typer.Option(help="Folder for report.html, frames.csv and figures.json.")] = None,
    video: Annotated[Path | None, typer.Option(help="A video of frame, truth and prediction (.webm).")] = None,
    as_json: Json = False,
    device: Device = "auto",
    engine: EngineName = REFERENCE,
    precision: Precision = "fp32",
) -> None:
    """Score a network on a rosbag2 recording, and the masks that were published in flight, if the bag has them."""
    path = weights or default_weights()
    loaded = load_model(path)
    request = EngineRequest(engine, device, precision)
    network = scored_network(loaded, request)
    worst = WorstPictures()
    if report:
        make_folder(report, "--report")
    losses = Losses()
    results: list[BagResult] = []
    with contextlib.ExitStack() as stack:
        if video and video.suffix != ".webm":
            raise UserError(f"--video {video}: a video's name ends in .webm")
        opened = stack.enter_context(open_bag(bag))
        losses.sentences.extend(opened.damage)
        reading = Reading(
            choose_topics(opened, image_topic, truth_topic, with_truth=truth is None),
            open_mask_folder(truth) if truth else None,
            TrueLabels(gazebo_hero, tuple(gazebo_people)),
            round(tolerance * 1e9),
        )
        _refuse_without_truth(opened, reading)
        segment = _segmenter(path, request).segment if reading.topics.mask else None
        film = stack.enter_context(BagVideo(video)) if video else None
        progress = stack.enter_context(progress_bar())
        announced = opened.count(reading.topics.image)
        _refuse_other_numbers(reading, announced)
        task = progress.add_task("scoring", total=announced)
        frames = prefetch(bag_frames(opened, reading, loaded.card, losses), FRAMES_AHEAD)
        stack.enter_context(contextlib.closing(frames))
        predicted = prefetch(predictions(network, loaded.card, frames), FRAMES_AHEAD)
        stack.enter_context(contextlib.closing(predicted))
        complete = False
        with contextlib.suppress(KeyboardInterrupt):
            judged = score_bag(predicted, loaded.card, segment)
            for frame, probabilities, result in judged:
                results.append(result)
                if report or film:
                    labels = labels_of(probabilities, loaded.card)
                    worst.add(frame, labels, result.network)
                    if film:
                        film.add(frame, labels, result)
                progress.update(task, completed=losses.tally.read.get(reading.topics.image, 0))
            complete = True
    print_losses(losses.sentences)
    print_unpaired(losses.tally, reading.topics.image)
    if not results:
        raise UserError(_nothing_scored(bag, reading, losses, complete))
    score = bag_score(results, losses, reading.topics.image, announced, complete=complete)
    if not complete:
        console.print(f"interrupted: the figures cover the first {len(results)} frames", style="yellow")
    about = {"weights": path.name, "network": loaded.card.network, "engine": engine_name(network)}
    figures = json.dumps({**about, **score.figures()}, indent=1)
    if as_json:
        print(figures)
    else:
        print_bag_score(score, f"{path.name} ({loaded.card.network}) on {bag.name}")
    if report:
        write_bag_report(report, f"{path.name} on {bag.name}", score, worst)
        write_whole(report / "figures.json", figures + "\n")
        console.print(f"report: {report / 'report.html'}")
    if video:
        console.print(f"video: {video}")


def _segmenter(weights: Path, request: EngineRequest) -> Segmenter:
    """The segmenter as in the node; it reloads the weights, because an engine can change their layout."""
    loaded = load_model(weights)
    return Segmenter(loaded, choose_for(loaded, request_for(loaded, request)).engine)


def _refuse_without_truth(bag: Bag, reading: Reading) -> None:
    if not reading.topics.truth and reading.masks is None:
        raise UserError(
            f"{bag.path} has no true masks; choose their topic with --truth-topic, or a folder of masks with "
            "--truth (`fcn-follow label` makes one to correct)"
        )


def _refuse_other_numbers(reading: Reading, images: int) -> None:
    """Raise UserError for masks numbered beyond the bag's images: their numbers are no indices in this bag."""
    masks = reading.masks
    if masks is not None and not masks.by_stamp and max(masks.files) >= images:
        raise UserError(
            f"{masks.files[max(masks.files)]}: the bag has {images} images, and a mask's number must be the index of "
            "its image there, from 0 on; or name masks by stamp (seconds_nanoseconds), as bag-to-frames and label do"
        )


def _nothing_scored(path: Path, reading: Reading, losses: Losses, complete: bool) -> str:
    if not complete:
        return "interrupted before the first frame was scored"
    read = losses.tally.read
    where = reading.topics.truth or (str(reading.masks.path) if reading.masks else "")
    return (
        f"{path}: no image could be scored: {read.get(reading.topics.image, 0)} on {reading.topics.image}, "
        f"{losses.images_without_truth} of them without a mask of the same stamp in {where}, "
        f"{len(losses.sentences)} unreadable; where the stamps differ, try --tolerance"
    )


def print_bag_score(score: BagScore, title: str) -> None:
    """Print the figures as tables on standard output: first the network's, then the flight's."""
    print_evaluation(score.network, title)
    out = output(110)
    flight = score.in_flight
    if flight is not None:
        total = len(flight.published.frames)
        print_evaluation(flight.published, f"the {total} masks published in flight")
        out.print(
            f"{flight.identical} of these {total} masks are the same here, pixel for pixel; scored like them, the "
            f"masks from here have final_score {flight.offline.follow_me.final_score:.4f}\n"
            f"latency from image to mask: median {flight.latency_ms_median:.1f} ms, 90 % under "
            f"{flight.latency_ms_p90:.1f} ms"
        )
    if score.centroids is not None:
        error, alarms = score.centroids.centroid_error_px_median, score.centroids.false_alarms_per_1000
        out.print(
            f"{score.centroids.frames} centroids published in flight: recall {percent(score.centroids.recall)}, error "
            f"{'-' if error is None else f'{error:.2f} px'}, false alarms per 1000 "
            f"{'-' if alarms is None else f'{alarms:.1f}'}"
        )
    out.print(f"{len(score.network.frames)} of {score.images} images scored")


def label(
    bag: BagPath,
    out: Annotated[Path, typer.Argument(help="The new folder, in the training format.")],
    weights: WeightsFile = None,
    image_topic: ImageTopic = "",
    every: Annotated[int, typer.Option(min=1, help="Take only every N-th image.")] = 1,
    device: Device = "auto",
    engine: EngineName = REFERENCE,
    precision: Precision = "fp32",
) -> None:
    """Write the images of a bag with a network's masks, to correct in any mask editor and to train on."""
    path = weights or default_weights()
    segmenter = _segmenter(path, EngineRequest(engine, device, precision))
    losses = Losses()
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_bag(bag))
        losses.sentences.extend(opened.damage)
        topics = BagTopics(choose_topics(opened, image_topic, with_truth=False).image)
        folder = stack.enter_context(FrameFolder(out))
        progress = stack.enter_context(progress_bar())
        task = progress.add_task("labelling", total=opened.count(topics.image))
        images = decoded(
            opened, topics, tolerance_ns=0, tally=losses.tally, report=losses.sentences.append,
            on_image=lambda: progress.advance(task),
        )  # fmt: skip
        for moment, image_rgb in images:
            if moment.index % every == 0:
                folder.add(moment, image_rgb, segmenter.segment(image_rgb))
        print_losses(losses.sentences)
        print_unpaired(losses.tally, topics.image)
        if not folder.frames:
            raise UserError(f"{bag}: not one image of {topics.image} could be read")
    console.print(f"{out}: {folder.frames} frames with masks: red background, green people, blue hero")
