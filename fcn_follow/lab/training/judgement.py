"""From an evaluation on held-out frames: the number by which weights are kept, and the figures of the card."""

from __future__ import annotations

from fcn_follow.lab.scoring.evaluation import Evaluation

SCORE, PEOPLE, HERO = "score", "people", "hero"
"""What the best weights are: those with the best Follow-Me score, or of near heroes and all people, or of the hero."""


def quality(result: Evaluation, keep_by: str = SCORE) -> float:
    """Higher is better: the Follow-Me score, or with a depth head minus MSE(mask) + SSIM(depth).

    By PEOPLE the mean of the IoU of people over all pixels and of the near hero's; by HERO the hero's over all pixels.
    """
    if keep_by == HERO:
        return result.detection.iou["hero"] or 0.0
    if keep_by == PEOPLE:
        return ((result.detection.iou["people"] or 0.0) + result.follow_me.folders["following_images"].iou_hero) / 2
    return result.follow_me.final_score if result.depth is None else -result.depth.mask_mse_depth_ssim


def card_scores(result: Evaluation) -> dict[str, float]:
    """The figures of an evaluation for the model card, the main ones first."""
    folders, detection, depth = result.follow_me.folders, result.detection, result.depth
    figures = {
        **({} if depth is None else depth.headline()),
        "final_score": result.follow_me.final_score,
        "final_iou": result.follow_me.final_iou,
        "near_iou": folders["following_images"].iou_hero,
        "far_iou": folders["patrol_with_targ"].iou_hero,
        "false_alarms_per_1000": detection.false_alarms_per_1000,
        **{f"recall_{name}_px": figures.recall for name, figures in detection.by_size_px.items()},
    }
    return {name: round(float(value), 4) for name, value in figures.items() if value is not None}
