"""The speed of the renderer on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_follow.simulation.outfits import HERO
from fcn_follow.simulation.random_scene import SceneRequest, draw_scene
from fcn_follow.simulation.renderer import Light, Renderer
from fcn_follow.simulation.town import GroundHeight
from fcn_follow.simulation.world import make_world

SIZES_PX = ((160, 160), (256, 256), (320, 240))
_WARM_UP, _ROUNDS = 5, 40


@dataclass(frozen=True)
class RendererSpeed:
    """Frames per second of a crowded scene, from the median time of a frame."""

    width_px: int
    height_px: int
    shadows: bool
    rgb_hz: float
    rgb_and_labels_hz: float


def crowded_frame(width_px: int, height_px: int) -> NDArray[np.uint8]:
    """An image of a near hero among other people, uint8 H x W x 3, always the same."""
    world = make_world(0)
    wanted = SceneRequest(width_px, height_px, hero=True, far=False)
    scene = draw_scene(np.random.default_rng(1), world.town, GroundHeight(world.town), HERO, wanted)
    with Renderer(world, width_px, height_px) as renderer:
        return renderer.render(scene.intrinsics, scene.camera, scene.people, Light()).rgb


def measure_renderer() -> Iterator[RendererSpeed]:
    """Measure each size with and without shadows, over the same twenty scenes of hero and crowd."""
    world = make_world(0)
    ground = GroundHeight(world.town)
    for width_px, height_px in SIZES_PX:
        wanted = SceneRequest(width_px, height_px, hero=True, far=False)
        scenes = [draw_scene(np.random.default_rng(i), world.town, ground, HERO, wanted) for i in range(20)]
        with Renderer(world, width_px, height_px) as renderer:
            for shadows in (True, False):
                rates = []
                for labels in (False, True):
                    times_s = []
                    for round_ in range(_WARM_UP + _ROUNDS):
                        scene = scenes[round_ % len(scenes)]
                        light = Light(shadows=shadows)
                        begun_s = time.perf_counter()
                        renderer.render(scene.intrinsics, scene.camera, scene.people, light, labels=labels)
                        times_s.append(time.perf_counter() - begun_s)
                    rates.append(1.0 / statistics.median(times_s[_WARM_UP:]))
                yield RendererSpeed(width_px, height_px, shadows, *rates)
