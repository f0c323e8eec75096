"""What the fuzzer reads: for each kind sound files, changed at random, and the package's own way to read them."""

from __future__ import annotations

import contextlib
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = [0, 1, 2, 127, 255, 65535, 16384, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]
NAMES = ["1²2", "٣", "[/x]", "\x1b[31m", "a\nb", "..", "run", "cam1", "mask", "00001", "9" * 200, "_", "é", "."]
TOKENS = ["&a", "*a", "<<: *a", "[" * 30, "{a: ", "- ", "\n", ": ", "1" * 5000, "0x" + "f" * 5000, "!!python/none x",
          ".nan", "2001-99-99", "''", "null", "? ", "\t", "\x00", "e" * 300, "1:99:99"]  # fmt: skip


def changed(data: bytes, chance: random.Random) -> bytes:
    """The bytes with a few places overwritten by noise or telling numbers, cut, doubled or filled."""
    content = bytearray(data)
    for _ in range(chance.choice([0, 1, 1, 2, 4, 16])):
        place = min(int(chance.random() ** chance.choice([1, 3]) * len(content)), max(len(content) - 1, 0))
        length = chance.choice([1, 1, 2, 4, 8, 64, 4096])
        number = chance.choice(NUMBERS).to_bytes(8, chance.choice(["big", "little"]))
        new = [chance.randbytes(length), number[:length], number[-length:], bytes(length), content[:length], b""]
        content[place : place + length * chance.choice([0, 1, 1])] = chance.choice(new)
    return bytes(content[: chance.choice([len(content)] * 3 + [chance.randrange(len(content) + 1)])])


def changed_text(text: str, chance: random.Random) -> bytes:
    """A text with tokens and lines put in, taken out, or repeated; or changed as bytes are."""
    lines = text.splitlines(keepends=True)
    for _ in range(chance.choice([0, 1, 2, 8])):
        place, token = chance.randrange(len(lines)), chance.choice(TOKENS)
        head, colon, _tail = lines[place].partition(":")
        lines[place] = chance.choice([f"{head}{colon} {token}\n", token + lines[place], lines[place] * 2, ""])
    joined = "".join(lines).encode()
    return changed(joined, chance) if chance.random() < 0.3 else joined


def pictures(chance: random.Random) -> list[bytes]:
    pixels = np.random.default_rng(chance.randrange(9)).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    return [cv2.imencode(".jpg", pixels, flags)[1].tobytes() for flags in ([], progressive)] + [
        cv2.imencode(".png", pixels)[1].tobytes(),
        cv2.imencode(".png", np.eye(3, dtype=np.uint8)[pixels[..., 0] % 3] * 255)[1].tobytes(),
        cv2.imencode(".png", pixels[..., 0].astype(np.uint16) * 99)[1].tobytes(),
    ]


def read_frames(path: Path) -> None:
    from fcn_follow.lab.data.frames import open_frames

    frames = open_frames(path)
    for index in range(len(frames)):
        image = frames.image(index)
        frames.labels(index)
        frames.depth_m(index, image)
        _ = frames.focal_y_px


def images(folder: Path, chance: random.Random) -> None:
    from fcn_follow.lab.recordings.truth import open_mask_folder

    for part, kind in (("images", 0), ("masks", 3), ("depth", 4)):
        (folder / part).mkdir()
        (folder / part / "1_run1_00001.png").write_bytes(changed(pictures(chance)[kind], chance))
    chance.choice([read_frames, lambda path: open_mask_folder(path).labels(0, 1, 0)])(folder)


def messages(folder: Path, chance: random.Random) -> None:
    from fcn_follow.images.messages import ENCODINGS, image_cameras
    from fcn_follow.lab.recordings.frame_folders import pixels_of
    from fcn_follow.lab.recordings.truth import message_labels

    number = lambda: chance.choice([*NUMBERS[:8], 24, 32, 96])  # noqa: E731
    data = changed(chance.choice(pictures(chance)), chance)
    image = {"width": number(), "height": number(), "step": number(), "is_bigendian": 1, "data": data}
    image["encoding"] = chance.choice([*ENCODINGS, "", "[/x]\n", "e" * 999])
    k, p, d = ([chance.choice([0.0, 1.0, float("nan"), 1e308, -1.0]) for _ in range(count)] for count in (9, 12, 5))
    region = SimpleNamespace(x_offset=number(), y_offset=number(), width=number(), height=number())
    camera = {"width": number(), "height": number(), "k": k, "p": p, "d": d, "roi": region}
    camera |= {"binning_x": number(), "binning_y": number()}
    chance.choice([
        lambda: pixels_of(SimpleNamespace(format=chance.choice(NAMES), data=data)),
        lambda: pixels_of(SimpleNamespace(**image)),
        lambda: message_labels(SimpleNamespace(**image)),
        lambda: image_cameras(SimpleNamespace(**camera), rectified=chance.random() < 0.5),
    ])()  # fmt: skip


def zips(folder: Path, chance: random.Random) -> None:
    with contextlib.suppress(zipfile.LargeZipFile, ValueError), zipfile.ZipFile(folder / "a.zip", "w") as archive:
        shared = name(chance)
        for part, kind in (("images", 0), ("masks", 3)):
            packing = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            archive.writestr(f"{part}/{shared}.png", pictures(chance)[kind], packing)
    (folder / "b.zip").write_bytes(changed((folder / "a.zip").read_bytes(), chance))
    read_frames(folder / "b.zip")


def name(chance: random.Random) -> str:
    return "".join(chance.choices(NAMES, k=chance.randrange(1, 4)))


def names(folder: Path, chance: random.Random) -> None:
    from fcn_follow.lab.recordings.truth import open_mask_folder, stamp_of_name

    for part, kind in (("images", 0), ("masks", 3)):
        (folder / part).mkdir()
        for _ in range(2):
            with contextlib.suppress(OSError, ValueError):
                (folder / part / f"{name(chance)}.png").write_bytes(pictures(chance)[kind])
    stamp_of_name(name(chance))
    chance.choice([read_frames, open_mask_folder])(folder)


def weights(folder: Path, chance: random.Random) -> None:
    from fcn_follow.networks.registry import build_network
    from fcn_follow.networks.weights import ModelCard, load_weights, save_weights

    path = folder / "w.safetensors"
    torch.manual_seed(0)
    save_weights(path, build_network("fcn_001"), ModelCard("fcn_001", 32, 32))
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    card = json.loads(header["__metadata__"]["fcn_follow_card"])
    for values in (card, chance.choice([entry for key, entry in header.items() if key != "__metadata__"])):
        if chance.random() < 0.5:
            odd = [*NUMBERS, "", None, [], {}, -1, 1e308, "[/x]", [[0, 0]], True, {"input_px": [8, 8], "layers": [{}]}]
            values[chance.choice(list(values))] = chance.choice(odd)
    header["__metadata__"]["fcn_follow_card"] = json.dumps(card)
    text = json.dumps(header).encode()
    path.write_bytes(changed(struct.pack("<Q", len(text)) + text + data[8 + length :], chance))
    load_weights(path)


def bag(folder: Path, chance: random.Random, storage: str) -> None:
    from fcn_follow.lab.recordings.frame_folders import decoded, true_labels
    from fcn_follow.lab.recordings.info import bag_info
    from fcn_follow.lab.recordings.pairing import Tally
    from fcn_follow.lab.recordings.reading import open_bag
    from fcn_follow.lab.recordings.topics import choose_topics
    from fcn_follow.lab.recordings.writing import BagWriter, compressed_message, image_message

    with BagWriter(folder / "bag", storage, zstd=chance.random() < 0.5) as writer:
        for stamp_ns in (1, 2, 3):
            writer.write("/cam/image_raw/compressed", compressed_message(pictures(chance)[0], stamp_ns), stamp_ns)
            writer.write("/truth/label_mask", image_message(np.zeros((24, 32), np.uint8), stamp_ns), stamp_ns)
    for path in (folder / "bag").iterdir():
        if chance.random() < 0.6:
            is_text = path.suffix == ".yaml"
            path.write_bytes(changed_text(path.read_text(), chance) if is_text else changed(path.read_bytes(), chance))
    with open_bag(folder / "bag") as opened:
        bag_info(opened, str)
        topics = choose_topics(opened)
        for moment, pixels in decoded(opened, topics, tolerance_ns=0, tally=Tally(), report=str):
            true_labels(moment, topics, pixels)


def onnx(folder: Path, chance: random.Random) -> None:
    exported(folder, chance, "n.onnx")


def openvino(folder: Path, chance: random.Random) -> None:
    exported(folder, chance, "n.xml")


def exported(folder: Path, chance: random.Random, file: str) -> None:
    from fcn_follow.inference.exported import read_exported
    from fcn_follow.lab.export import export
    from fcn_follow.networks.registry import build_network
    from fcn_follow.networks.weights import LoadedWeights, ModelCard

    kept = folder.parent / "exports"  # an export takes a second
    if not (kept / file).is_file():
        torch.manual_seed(0)
        export(LoadedWeights(build_network("fcn_001").eval(), ModelCard("fcn_001", 32, 32)), kept / file)
    for path in kept.glob(f"{Path(file).stem}.*" if file.endswith(".xml") else file):
        (folder / path.name).write_bytes(changed(path.read_bytes(), chance))
    read_exported(folder / file)


def recipes(folder: Path, chance: random.Random) -> None:
    from fcn_follow.lab.data.split import read_split
    from fcn_follow.lab.training.recipe import read_recipe

    sources = [*sorted((ROOT / "config" / "recipes").glob("*.yaml")), ROOT / "config" / "split.yaml"]
    source = chance.choice(sources)
    (folder / "r.yaml").write_bytes(changed_text(source.read_text(), chance))
    (read_split if source.stem == "split" else read_recipe)(folder / "r.yaml")


def parameters(folder: Path, chance: random.Random) -> None:
    from fcn_follow.lab.training.recipe import flatten
    from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
    from fcn_follow.parameters import with_values
    from fcn_follow.yaml_text import read_yaml

    (folder / "p.yaml").write_bytes(changed_text((ROOT / "config" / "follow.yaml").read_text(), chance))
    content = read_yaml(folder / "p.yaml", "parameters")
    for node in [content[key] for key in content if key == "/**/follower"] if isinstance(content, dict) else ():
        values = node.get("ros__parameters") if isinstance(node, dict) else None
        if isinstance(values, dict):
            with_values(FollowerNodeParameters(), flatten(values))


KINDS: dict[str, Callable[[Path, random.Random], None]] = {
    "images": images, "messages": messages, "zips": zips, "names": names, "weights": weights,
    "sqlite3": lambda folder, chance: bag(folder, chance, "sqlite3"),
    "mcap": lambda folder, chance: bag(folder, chance, "mcap"),
    "onnx": onnx, "openvino": openvino, "recipes": recipes, "parameters": parameters,
}  # fmt: skip
