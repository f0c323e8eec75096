"""Errors of a network's depth: over all pixels, over the hero's pixels, and as the hero's distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn_follow.classes import HERO
from fcn_follow.errors import UserError
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.data.resize import resize_mask
from fcn_follow.lab.scoring.depth_picture import depth_pair, ssim_difference
from fcn_follow.networks.weights import METRES, ModelCard
from fcn_follow.perception.depth import metres_per_unit, resized_nearest
from fcn_follow.perception.labels import labels_of

FOLLOWED_M = (2.0, 25.0)
"""The range in which a hero is followed."""
MIN_HERO_PX = 4


@dataclass(frozen=True)
class PixelErrors:
    """Over pixels: RMS error in metres, mean of |error| / truth, share with a ratio below 1.25 in both directions."""

    pixels: int
    rmse_m: float
    abs_rel: float
    delta_1_25: float


@dataclass(frozen=True)
class HeroDistance:
    """Errors of the median depth under the hero's mask, between 2 and 25 m, one figure per frame.

    Under the true mask, and under the network's own mask in the frames where it finds the hero.
    """

    frames: int
    abs_rel: float | None
    found: int
    abs_rel_found: float | None
    rmse_found_m: float | None


@dataclass(frozen=True)
class DepthFigures:
    """Figures of a set of frames. Errors in metres are None for a network that scales depth in each image.

    mask_mse is the mean over pixels and classes of squared differences of probability, depth_ssim the mean of 1 - SSIM
    of the depth as a picture (`depth_picture.py`).
    """

    frames: int
    mask_mse: float
    depth_ssim: float
    all: PixelErrors | None
    hero: PixelErrors | None
    hero_distance: HeroDistance | None

    @property
    def mask_mse_depth_ssim(self) -> float:
        """Source 003's last loss."""
        return self.mask_mse + self.depth_ssim

    def headline(self) -> dict[str, float]:
        """The figures for a curve or a card."""
        found: dict[str, float | None] = {"mask_mse_depth_ssim": self.mask_mse_depth_ssim}
        if self.hero_distance is not None:
            found |= {"hero_distance_abs_rel": self.hero_distance.abs_rel}
        if self.all is not None:
            found |= {"depth_abs_rel": self.all.abs_rel, "depth_delta_1_25": self.all.delta_1_25}
            found |= {"depth_rmse_m": self.all.rmse_m}
        return {name: value for name, value in found.items() if value is not None}


class DepthTally:
    """Sums up frames one by one."""

    def __init__(self, card: ModelCard) -> None:
        self.frames = 0
        self._card = card
        self._mask_mse: list[float] = []
        self._depth_ssim: list[float] = []
        self._all, self._hero = _Sums(), _Sums()
        self._true_mask: list[tuple[float, float]] = []
        self._own_mask: list[tuple[float, float]] = []

    def add(
        self,
        probabilities: NDArray[np.float32],
        channel: Tensor,
        mask: UInt8Array,
        depth_m: NDArray[np.float32],
        focal_y_px: float | None,
    ) -> None:
        """One frame: probabilities h x w x 3 and depth channel 1 x h x w of the network; mask and depth of the frame.

        Raises UserError if the network gives metres and the frame's focal length is unknown.
        """
        card = self._card
        self.frames += 1
        height, width = probabilities.shape[:2]
        truth = resize_mask(mask, height, width)
        self._mask_mse.append(float(np.square(probabilities - truth).mean()))
        true_m, unit_m = true_depth(depth_m, focal_y_px, card, height, width)
        pair = depth_pair(card.depth, channel[None], torch.from_numpy(true_m / unit_m)[None, None])
        self._depth_ssim.append(float(ssim_difference(pair)))
        if card.depth != METRES:
            return
        found_m = channel[0].exp().numpy() * unit_m
        measured, hero = true_m > 0, truth[..., HERO] > 0
        self._all.add(found_m[measured], true_m[measured])
        self._hero.add(found_m[measured & hero], true_m[measured & hero])
        self._add_distance(found_m, true_m, measured & hero, labels_of(probabilities, card) == HERO)

    def _add_distance(
        self, found_m: NDArray[np.float32], true_m: NDArray[np.float32], hero: NDArray[np.bool_], own: NDArray[np.bool_]
    ) -> None:
        if np.count_nonzero(hero) < MIN_HERO_PX:
            return
        distance_m = float(np.median(true_m[hero]))
        if not FOLLOWED_M[0] <= distance_m <= FOLLOWED_M[1]:
            return
        self._true_mask.append((float(np.median(found_m[hero])), distance_m))
        if np.count_nonzero(own) >= self._card.hero_min_area_px:
            self._own_mask.append((float(np.median(found_m[own])), distance_m))

    def figures(self) -> DepthFigures:
        """The figures of all frames so far."""
        metric = self._card.depth == METRES
        distance = None
        if metric:
            under_true, under_own = np.array(self._true_mask), np.array(self._own_mask)
            distance = HeroDistance(
                len(under_true), _abs_rel(under_true), len(under_own), _abs_rel(under_own), _rmse(under_own)
            )
        return DepthFigures(
            self.frames,
            float(np.mean(self._mask_mse)),
            float(np.mean(self._depth_ssim)),
            self._all.errors() if metric else None,
            self._hero.errors() if metric else None,
            distance,
        )


def true_depth(
    depth_m: NDArray[np.float32], focal_y_px: float | None, card: ModelCard, height_px: int, width_px: int
) -> tuple[NDArray[np.float32], np.float32]:
    """A frame's depth at the network's size, and the metres in one unit of the network's depth.

    Raises UserError if the network gives metres and the frame's focal length is unknown.
    """
    resized = resized_nearest(depth_m, height_px, width_px)
    if card.depth != METRES:
        return resized, np.float32(1.0)
    if focal_y_px is None:
        raise UserError("a frame's focal length is not known (frames.jsonl); depth in metres cannot be judged")
    return resized, np.float32(metres_per_unit(card, focal_y_px, depth_m.shape[0]))


def _abs_rel(pairs: NDArray[np.float64]) -> float | None:
    return float((np.abs(pairs[:, 0] - pairs[:, 1]) / pairs[:, 1]).mean()) if len(pairs) else None


def _rmse(pairs: NDArray[np.float64]) -> float | None:
    return float(np.sqrt(np.square(pairs[:, 0] - pairs[:, 1]).mean())) if len(pairs) else None


class _Sums:
    """Running sums of pixel errors."""

    def __init__(self) -> None:
        self._pixels = 0
        self._sums = np.zeros(3)

    def add(self, found_m: NDArray[np.float32], true_m: NDArray[np.float32]) -> None:
        error, ratio = found_m - true_m, found_m / true_m
        self._pixels += len(error)
        near = np.maximum(ratio, 1 / ratio) < 1.25
        self._sums += np.square(error).sum(), (np.abs(error) / true_m).sum(), near.sum()

    def errors(self) -> PixelErrors | None:
        if not self._pixels:
            return None
        square, relative, near = (float(value) for value in self._sums / self._pixels)
        return PixelErrors(self._pixels, square**0.5, relative, near)
