"""The figures of an evaluation as tables on the terminal."""

from __future__ import annotations

from rich.console import Console

from fcn_follow.lab.console import output, table_of
from fcn_follow.lab.scoring.depth_figures import FOLLOWED_M, DepthFigures
from fcn_follow.lab.scoring.evaluation import Evaluation
from fcn_follow.lab.scoring.follow_me import Kind

FOLDER_COLUMNS = ("frames", "IoU background", "IoU people", "IoU hero", "found", "missed", "false alarms")


FOLDER_NOTE = (
    "IoU: the mean over the frames, 0 where a frame lacks the class. found: a hero is predicted, at any place. "
    "A hero of up to 3 pixels counts nowhere."
)
SIZES_NOTE = (
    "found: share of the true heroes; the others are missed, or reported at a wrong place. right: share of the "
    "reported heroes, by their reported size."
)


def folder_rows(result: Evaluation) -> list[list[str]]:
    """The name of each kind of frames, and the values of FOLDER_COLUMNS; "-" for an IoU of what is not there."""
    return [
        [name, str(f.frames), *(f"{iou:.4f}" if f.frames else "-" for iou in (f.iou_background, f.iou_people)),
         f"{f.iou_hero:.4f}" if f.frames and name != Kind.NONE.value else "-",
         str(f.true_positives), str(f.false_negatives), str(f.false_positives)]
        for name, f in result.follow_me.folders.items()
    ]  # fmt: skip


def print_evaluation(result: Evaluation, title: str) -> None:
    """Print the figures as tables on standard output."""
    out = output(110)
    score_table = table_of(f"Follow-Me score of {title}; JPEGs decoded by libjpeg-turbo", ["frames of"], FOLDER_COLUMNS)
    for row in folder_rows(result):
        score_table.add_row(*row)
    out.print(score_table)
    out.print(FOLDER_NOTE)
    follow_me = result.follow_me
    interval = result.score_interval()
    doubt = (
        f"95 % of resampled sets of frames have {interval[0]:.3f} to {interval[1]:.3f}"
        if interval
        else "too few frames for an interval"
    )
    out.print(
        f"final_score {follow_me.final_score:.4f} = "
        f"final_iou {follow_me.final_iou:.4f} x weight {follow_me.weight:.4f}; {doubt}\n"
    )
    detection = result.detection
    sizes = table_of("The hero by size in the frame", ["pixels"], ("true heroes", "found", "reported", "right"))
    for name, figures in detection.by_size_px.items():
        sizes.add_row(
            name, str(figures.frames), percent(figures.recall), str(figures.reported), percent(figures.precision)
        )
    sizes.add_row("all", "", percent(detection.recall), "", percent(detection.precision))
    out.print(sizes)
    out.print(SIZES_NOTE)
    iou = ", ".join(f"{name} {'-' if value is None else f'{value:.4f}'}" for name, value in detection.iou.items())
    out.print(
        f"IoU over all pixels: {iou}; {percent(detection.background_as_people)} of the background taken for people"
    )
    if detection.centroid_error_px_median is not None:
        out.print(
            f"centroid error: median {detection.centroid_error_px_median:.2f} px, 90 % under "
            f"{detection.centroid_error_px_p90:.2f} px"
        )
    if detection.false_alarms_per_1000 is not None:
        out.print(
            f"false alarms: {detection.false_alarms_per_1000:.1f} per 1000 of {detection.frames_without_hero} frames "
            "without a hero"
        )
    if result.depth is not None:
        _print_depth(out, result.depth)


def _print_depth(out: Console, depth: DepthFigures) -> None:
    table = table_of(f"Depth of {depth.frames} frames", (), ("pixels", "RMSE m", "abs rel", "ratio under 1.25"))
    for name, errors in (("all", depth.all), ("the hero's", depth.hero)):
        if errors is not None:
            table.add_row(name, f"{errors.rmse_m:.2f}", f"{errors.abs_rel:.3f}", percent(errors.delta_1_25))
    if table.rows:
        out.print(table)
    distance = depth.hero_distance
    if distance is not None and distance.abs_rel is not None:
        near_m, far_m = FOLLOWED_M
        out.print(
            f"hero's distance by the median depth, {near_m:g} to {far_m:g} m: abs rel {distance.abs_rel:.3f} under the "
            f"true mask ({distance.frames} frames)"
        )
        if distance.abs_rel_found is not None:
            out.print(
                f"under its own mask, where it finds the hero: abs rel {distance.abs_rel_found:.3f}, RMSE "
                f"{distance.rmse_found_m:.2f} m ({distance.found} frames)"
            )
    out.print(f"MSE(mask) {depth.mask_mse:.4f} + SSIM(depth) {depth.depth_ssim:.4f} = {depth.mask_mse_depth_ssim:.4f}")


def percent(value: float | None) -> str:
    """A share from 0 to 1 as a table shows it."""
    return "-" if value is None else f"{100 * value:.1f} %"
