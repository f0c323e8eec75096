"""All files that Gazebo needs, written into a folder: models/ and worlds/."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from fcn_follow.errors import UserError
from fcn_follow.gazebo.drone import DRONE, DRONE_ROTORS, IRIS, STAND, X500, autopilot_model, drone_model, stand_model
from fcn_follow.gazebo.elements import model_config, to_text
from fcn_follow.gazebo.park import PARK, park_model, park_people, path_height_m, tree_places
from fcn_follow.gazebo.people import everybody, person_meshes, standing_model
from fcn_follow.gazebo.town import TOWN, plant_places, scenery_model, town_models
from fcn_follow.gazebo.wavefront import write_obj
from fcn_follow.gazebo.world import world_document
from fcn_follow.simulation.outfits import Outfit
from fcn_follow.simulation.people import PARTS
from fcn_follow.simulation.scenery import Materials, make_materials
from fcn_follow.simulation.town import GroundHeight, town_of

SEED = 0


def write_assets(out: Path) -> list[Path]:
    """Write OUT/models and OUT/worlds, replacing what is there; the same bytes each time.

    Raises UserError if they cannot be written; the old files then stay.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".gazebo-", dir=out) as folder:
            made = Path(folder)
            written = [path.relative_to(made) for path in _write(made)]
            for name in ("models", "worlds"):
                for part in sorted((made / name).iterdir()):
                    _replace(part, out / name / part.name)
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror or error}") from error
    return [out / path for path in written]


def _replace(new: Path, old: Path) -> None:
    old.parent.mkdir(exist_ok=True)
    if old.is_dir():
        shutil.rmtree(old)
    new.replace(old)


def _write(out: Path) -> Iterator[Path]:
    models = out / "models"
    town, people = town_of(SEED), everybody(SEED)
    materials = make_materials(np.random.default_rng([SEED, 2]))
    for scenery in (*town_models(town, SEED), park_model()):
        write_obj(models / scenery.name / "meshes" / f"{scenery.name}.obj", scenery.meshes, materials)
        yield _write_model(models, scenery.name, scenery_model(scenery), scenery.description)
    for person in people:
        meshes = person_meshes(person.outfit)
        write_obj(models / person.name / "meshes" / f"{person.name}.obj", meshes, _clothes(person.outfit, materials))
        yield _write_model(models, person.name, standing_model(person), "A person in mid-stride.")
    for name, rotors in ((DRONE, False), (DRONE_ROTORS, True)):
        description = f"A quadrotor with a camera on a pitch gimbal, flown by {'its rotors' if rotors else 'velocity'}."
        yield _write_model(models, name, drone_model(rotors), description)
    for drone in (IRIS, X500):
        yield _write_model(models, drone.name, autopilot_model(drone), f"{drone.uri} with the camera of follow_drone.")
    yield _write_model(models, STAND, stand_model(), "A plate on a pole, on which the drone stands before it flies.")
    worlds = out / "worlds"
    worlds.mkdir()
    for name, document in (
        (TOWN, world_document(TOWN, plant_places(town, SEED), people, GroundHeight(town))),
        (PARK, world_document(PARK, tree_places(SEED), park_people(people), path_height_m)),
    ):
        world = worlds / f"{name}.sdf"
        world.write_text(to_text(document), encoding="utf-8")
        yield world


def _write_model(models: Path, name: str, document: Element, description: str) -> Path:
    folder = models / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.config").write_text(model_config(name, description), encoding="utf-8")
    (folder / "model.sdf").write_text(to_text(document), encoding="utf-8")
    return folder / "model.sdf"


def _clothes(outfit: Outfit, materials: Materials) -> Materials:
    return Materials({}, {part: getattr(outfit, part) for part in PARTS}, materials.sky)
