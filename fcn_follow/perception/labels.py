"""Class probabilities -> labels, with a hero only where the network is sure of one somewhere in the blob.

Two thresholds, as in Canny's edge detector: the lower one draws a blob's outline, and a blob without a single pixel
above the upper one is dropped. A far person in dark red can reach 0.9; the hero reaches more.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.data.frames import HERO
from fcn_follow.networks.weights import ModelCard


def confirmed_hero(hero: NDArray[np.floating], threshold: float, confirm: float) -> NDArray[np.bool_]:
    """Where the hero is, bool H x W, from the hero's probability H x W.

    The pixels of at least `threshold` in those 8-connected blobs that have a pixel of at least `confirm`.
    """
    candidate = hero >= threshold
    sure = candidate & (hero >= confirm)
    if confirm <= threshold or not sure.any():
        return sure
    _, blobs = cv2.connectedComponents(candidate.view(np.uint8), connectivity=8)
    return np.isin(blobs, np.unique(blobs[sure]))


def labels_of(probabilities: NDArray[np.floating], card: ModelCard) -> NDArray[np.uint8]:
    """Labels uint8 H x W of probabilities H x W x 3: hero where confirmed, else the likelier of the other two."""
    labels: NDArray[np.uint8] = (probabilities[..., 1] > probabilities[..., 0]).astype(np.uint8)
    hero = confirmed_hero(probabilities[..., HERO], card.hero_probability_threshold, card.hero_confirm_probability)
    labels[hero] = HERO
    return labels
