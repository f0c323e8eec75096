"""Images at a network's size, against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fcn_follow.images.resize import resize_image


@pytest.mark.parametrize("size", [(240, 320), (480, 640), (720, 1280), (256, 256), (97, 41), (160, 90), (1, 1)])
@pytest.mark.parametrize("target", [(160, 160), (256, 256), (3, 200)])
def test_it_is_pillow_s_bilinear(size, target):
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size[1], size[0]))).astype(int)
    image = np.clip(smooth + rng.integers(-30, 31, smooth.shape), 0, 255).astype(np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((target[1], target[0]), Image.Resampling.BILINEAR))
    resized = resize_image(image, *target)
    assert resized.shape == (*target, 3)
    assert resized.dtype == np.uint8
    assert resized.flags.c_contiguous
    off = resized.astype(int) - expected
    assert np.abs(off).max() <= 1
    assert abs(off.mean()) < 0.25


def test_a_view_and_a_read_only_image_are_taken():
    image = np.random.default_rng(6).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    locked = image.copy()
    locked.flags.writeable = False
    assert (resize_image(image[:, :, ::-1], 16, 16) == resize_image(image, 16, 16)[:, :, ::-1]).all()
    assert (resize_image(locked, 16, 16) == resize_image(image, 16, 16)).all()


def test_the_right_size_is_the_same_image():
    image = np.zeros((16, 16, 3), np.uint8)
    assert resize_image(image, 16, 16) is image
