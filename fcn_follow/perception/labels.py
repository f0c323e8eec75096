"""Class probabilities -> labels, with hysteresis thresholds for the hero.

Two thresholds, as in Canny's edge detector: the lower one gives a blob's outline, and a blob without a pixel above the
upper one is dropped. A distant person in dark red can reach 0.9; the hero reaches more.

The engines apply the thresholds in their graph and output one byte per pixel (`networks.graph.Codes`): 1 where other
people are likelier than background, and 2 more for each threshold that the hero's probability reaches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO
from fcn_follow.perception.blobs import Box

if TYPE_CHECKING:
    from fcn_follow.networks.weights import ModelCard  # brings PyTorch

CANDIDATE, SURE = 2, 4  # the lowest codes of pixels above the lower and above the upper threshold


def confirmed_hero(hero: NDArray[np.floating], threshold: float, confirm: float) -> NDArray[np.bool_]:
    """The hero's pixels, bool H x W, from the hero's probability H x W.

    These are the pixels of at least `threshold` in the 8-connected blobs that have a pixel of at least `confirm`.
    """
    candidate = hero >= threshold
    return _blobs_with(candidate, candidate & (hero >= confirm), confirm <= threshold)


def blob_peaks(hero: NDArray[np.floating], threshold: float) -> NDArray[np.floating]:
    """The highest probability in each 8-connected blob of at least `threshold`, from the hero's H x W."""
    count, blobs = cv2.connectedComponents((hero >= threshold).view(np.uint8), connectivity=8)
    peaks = np.zeros(count, hero.dtype)
    np.maximum.at(peaks, blobs, hero)
    return peaks[1:]


def labels_of(probabilities: NDArray[np.floating], card: ModelCard) -> NDArray[np.uint8]:
    """Labels uint8 H x W of probabilities H x W x 3: hero where confirmed, else the likelier of the other classes."""
    labels: NDArray[np.uint8] = (probabilities[..., 1] > probabilities[..., 0]).astype(np.uint8)
    hero = confirmed_hero(probabilities[..., HERO], card.hero_probability_threshold, card.hero_confirm_probability)
    labels[hero] = HERO
    return labels


def labels_of_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same labels from an engine's codes uint8 H x W."""
    labels: NDArray[np.uint8] = np.bitwise_and(codes, np.uint8(1))
    candidate, sure = codes >= CANDIDATE, codes >= SURE
    labels[_blobs_with(candidate, sure, bool((candidate == sure).all()))] = HERO
    return labels


def hero_score(codes: NDArray[np.uint8], box: Box, image_shape: tuple[int, ...], card: ModelCard) -> float:
    """A lower bound of the mean probability of the hero's pixels, between the card's two thresholds.

    The codes give for each pixel the thresholds that its probability reaches, not the probability itself.

    Args:
        codes: uint8 H x W of the network's size.
        box: the hero's, in an image whose shape is `image_shape`.
        image_shape: begins with height and width.
        card: with the thresholds.
    """
    y_scale, x_scale = codes.shape[0] / image_shape[0], codes.shape[1] / image_shape[1]
    rows = slice(int(box.top_px * y_scale), math.ceil(box.bottom_px * y_scale))
    columns = slice(int(box.left_px * x_scale), math.ceil(box.right_px * x_scale))
    part = codes[rows, columns]
    candidates, sure = np.count_nonzero(part >= CANDIDATE), np.count_nonzero(part >= SURE)
    lower, upper = card.thresholds
    return lower + (upper - lower) * sure / candidates if candidates else lower


def _blobs_with(candidate: NDArray[np.bool_], sure: NDArray[np.bool_], all_sure: bool) -> NDArray[np.bool_]:
    """The candidates of the blobs that have a sure pixel."""
    if all_sure or not sure.any():
        return sure
    count, blobs = cv2.connectedComponents(candidate.view(np.uint8), connectivity=8)
    kept = np.zeros(count, np.bool_)
    kept[blobs[sure]] = True
    confirmed: NDArray[np.bool_] = kept[blobs]
    return confirmed
