"""Training frames from the simulated town, in the folder format of the real ones: images, masks, depth, a manifest.

A frame depends only on the options, the seed and its number: an interrupted run can continue, and every run with the
same options writes the same bytes. The town changes its textures and trees every FRAMES_PER_TOWN frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fcn_follow.errors import UserError
from fcn_follow.files import write_whole
from fcn_follow.images.pictures import write_picture
from fcn_follow.lab.spread import Deaths, spread
from fcn_follow.simulation.camera import expose
from fcn_follow.simulation.outfits import HERO, Outfit, dressed, parse_colour
from fcn_follow.simulation.random_scene import Scene, SceneRequest, draw_scene, low_walls
from fcn_follow.simulation.renderer import HERO as HERO_LABEL
from fcn_follow.simulation.renderer import Picture, Renderer
from fcn_follow.simulation.town import Building, GroundHeight, town_of
from fcn_follow.simulation.world import World, make_world

FRAMES_PER_TOWN = 100
FAR_HERO_PX = (4, 200)
"""Pixels of a far hero in an image of 256x256; in proportion for other sizes."""
_REDRAWS = 12
_FOLDERS = ("images", "masks", "depth")


@dataclass(frozen=True)
class SynthesisOptions:
    """The options of the frames. Shares are from 0 to 1; clothes are colours by name, as for outfits.dressed."""

    count: int = 1000
    width_px: int = 256
    height_px: int = 256
    seed: int = 0
    no_hero_share: float = 0.35
    far_share: float = 0.6
    clothes: dict[str, str] = field(default_factory=dict)
    seated_share: float = 0.0
    behind_wall_share: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError(f"count is {self.count}; at least 1 frame is needed")
        if not (32 <= self.width_px <= 4096 and 32 <= self.height_px <= 4096):
            raise UserError(f"size {self.width_px}x{self.height_px} is not allowed; each side may be 32 to 4096 pixels")
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}; it must be 0 or more")
        shares = {"no-hero": self.no_hero_share, "far": self.far_share, "seated": self.seated_share,
                  "behind-wall": self.behind_wall_share}  # fmt: skip
        for option, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise UserError(f"--{option} {share:g}: it must be 0 to 1")
        for colour in self.clothes.values():
            parse_colour(colour)


def synthesize(options: SynthesisOptions, out: Path, on: str = "1", deaths: Deaths | None = None) -> Iterator[int]:
    """Write the frames into `out` and yield the number of finished frames, beginning with those of an earlier run.

    `on` and `deaths` are as in lab.spread; every machine must see the folder `out`.

    Raises UserError if `out` holds other files or frames of other options, or cannot be written.
    """
    try:
        done = _prepared(options, out)
        yield done
        blocks = range(done // FRAMES_PER_TOWN, -(-options.count // FRAMES_PER_TOWN))
        work = [(block, max(done, block * FRAMES_PER_TOWN)) for block in blocks]
        with (out / "frames.jsonl").open("a", encoding="utf-8") as listing:
            for line in _lines(options, out.resolve(), work, on, deaths or Deaths()):
                listing.write(line + "\n")
                listing.flush()
                done += 1
                yield done
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; complete frames are kept") from error


def _lines(options: SynthesisOptions, out: Path, work: list[tuple[int, int]], on: str, deaths: Deaths) -> Iterator[str]:
    """The lines of the listing, in order."""
    if on == "1":
        for item in work:
            yield from _block(options, out, *item)
        return
    early: dict[int, list[str]] = {}
    place = 0
    for done, lines in spread(partial(_whole_block, options, out), work, on, deaths):
        early[done] = lines
        while place in early:
            yield from early.pop(place)
            place += 1
    if deaths.given_up:
        raise UserError(f"{deaths}; the frames before the first are kept; the same command continues from there")


def _whole_block(options: SynthesisOptions, out: Path, item: tuple[int, int]) -> list[str]:
    return list(_block(options, out, *item))


def _prepared(options: SynthesisOptions, out: Path) -> int:
    """Make the folders, or check those of an earlier run; the number of complete frames."""
    manifest, listing = out / "manifest.json", out / "frames.jsonl"
    text = json.dumps({"made_by": "fcn-follow synthesize", **asdict(options)}, indent=1, sort_keys=True) + "\n"
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder that is new, empty or holds an earlier part of this run")
    if manifest.is_file():
        if manifest.read_text(encoding="utf-8") != text:
            raise UserError(f"{out} holds frames made with other options (see its manifest.json); give another folder")
    elif out.exists() and any(out.iterdir()):
        raise UserError(f"{out} holds other files; give a folder that is new or empty")
    for name in _FOLDERS:
        (out / name).mkdir(parents=True, exist_ok=True)
    write_whole(manifest, text)
    lines = listing.read_bytes().splitlines(keepends=True) if listing.is_file() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    write_whole(listing, b"".join(whole))
    return len(whole)


def _block(options: SynthesisOptions, out: Path, block: int, first: int) -> Iterator[str]:
    town_seed = int(np.random.SeedSequence([options.seed, block]).generate_state(1)[0])
    walls: tuple[Building, ...] = ()
    if options.behind_wall_share:
        walls = low_walls(np.random.default_rng([options.seed, block, 3]), town_of(town_seed))
    world = make_world(town_seed, town_of(town_seed, walls))
    ground = GroundHeight(world.town)
    hero = dressed(HERO, options.clothes)
    last = min((block + 1) * FRAMES_PER_TOWN, options.count)
    with Renderer(world, options.width_px, options.height_px) as renderer:
        for index in range(first, last):
            rng = np.random.default_rng([options.seed, index, 2])
            kind, scene, picture = _taken(rng, options, world, ground, renderer, hero, walls)
            _save(rng, options, out, index, scene, picture)
            yield json.dumps(_summary(index, kind, scene, picture), sort_keys=True)


def _taken(
    rng: np.random.Generator,
    options: SynthesisOptions,
    world: World,
    ground: GroundHeight,
    renderer: Renderer,
    hero: Outfit,
    walls: tuple[Building, ...],
) -> tuple[str, Scene, Picture]:
    """An image of a random kind, by the shares; it is drawn again while its hero is hidden or has the wrong size."""
    has_hero, far = rng.random() >= options.no_hero_share, rng.random() < options.far_share
    seated = bool(options.seated_share and rng.random() < options.seated_share)
    wall = walls[int(rng.integers(len(walls)))] if walls and rng.random() < options.behind_wall_share else None
    wanted = SceneRequest(options.width_px, options.height_px, bool(has_hero), bool(far), seated, wall)
    share = options.width_px * options.height_px / 256**2
    min_px, max_px = FAR_HERO_PX
    for _ in range(_REDRAWS):
        scene = draw_scene(rng, world.town, ground, hero, wanted)
        picture = renderer.render(scene.intrinsics, scene.camera, scene.people, scene.light, labels=True, depth=True)
        size_px = _count(picture, HERO_LABEL) / share
        if not has_hero or (min_px <= size_px <= max_px if far else size_px > max_px):
            break
    return ("none" if not has_hero else "far" if far else "near"), scene, picture


def _count(picture: Picture, label: int) -> int:
    assert picture.labels is not None
    return int((picture.labels == label).sum())


def _save(
    rng: np.random.Generator, options: SynthesisOptions, out: Path, index: int, scene: Scene, picture: Picture
) -> None:
    assert picture.labels is not None and picture.depth_m is not None
    rgb = expose(picture.rgb, scene.sensor, rng)
    quality = int(rng.integers(70, 97))
    mask = (picture.labels[..., None] == np.array([2, 1, 0])).astype(np.uint8) * 255
    depth_mm = np.clip(picture.depth_m * 1000, 0, 65535).astype(np.uint16)
    run = f"sim{options.seed}_run{index // FRAMES_PER_TOWN:04d}"
    write_picture(out / "depth" / f"{run}_depth_{index:06d}.png", depth_mm)
    write_picture(out / "masks" / f"{run}_mask_{index:06d}.png", mask)
    write_picture(out / "images" / f"{run}_cam1_{index:06d}.jpeg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def _summary(index: int, kind: str, scene: Scene, picture: Picture) -> dict[str, Any]:
    position = [round(float(v), 3) for v in scene.camera.position_m]
    pitch = float(np.degrees(np.arcsin(-scene.camera.rotation[2, 2])))
    return {
        "frame": index, "kind": kind, "hero_px": _count(picture, HERO_LABEL), "other_people_px": _count(picture, 1),
        "camera_position_m": position, "camera_pitch_down_deg": round(pitch, 2),
        "focal_lengths_px": [round(scene.intrinsics.fx_px, 3), round(scene.intrinsics.fy_px, 3)],
    }  # fmt: skip
