"""Exported files: their content is checked before they run, and their output is compared with that at the export."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError, shown
from fcn_follow.inference.choice import REFERENCE, Choice, EngineRequest, choose_engine, specs_of
from fcn_follow.inference.engine import EngineSpec, Output, open_model
from fcn_follow.inference.foreign import MAX_MODEL_BYTES, onnx_metadata, openvino_metadata
from fcn_follow.inference.kinds import check_installed
from fcn_follow.inference.machine import weights_digest
from fcn_follow.inference.verification import FRAMES, answers_of, difference, drawn_frames
from fcn_follow.networks.weights import CARD_KEY, LoadedWeights, ModelCard, card_of, load_weights, read_card

EXPORT_KEY = "fcn_follow_export"
VERSION = 1
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
RUNNABLE = (SUFFIXES["onnx"], SUFFIXES["openvino"])
EXPORT_AGAIN = "export it again with fcn-follow export"


@dataclass(frozen=True)
class Exported:
    """An exported file: its card, the model for an engine, and the expected codes N x H x W for the drawn frames."""

    path: Path
    card: ModelCard
    model: bytes | Path
    expected: NDArray[np.uint8]


Model = LoadedWeights | Exported


def load_model(path: Path) -> Model:
    """The model of a weights file or an exported file. Raises UserError, naming the file, if it is refused.

    Files of torch.export are refused: PyTorch unpickles them and loads compiled code that they name.
    """
    if path.suffix == SUFFIXES["torch"]:
        raise UserError(
            f"{path}: a file of torch.export is for programs of your own; PyTorch unpickles it, which would run any "
            f"code in it, so this package does not read it; use the weights, or an export to {' or '.join(RUNNABLE)}"
        )
    return read_exported(path) if path.suffix in RUNNABLE else load_weights(path)


def read_model_card(path: Path) -> ModelCard:
    """The model card of a weights file, without its network, or of an exported file; UserError if it is refused."""
    return read_card(path) if path.suffix == ".safetensors" else load_model(path).card


def read_exported(path: Path) -> Exported:
    """An exported ONNX or OpenVINO file.

    Raises UserError if it is missing, damaged, not of this package, of another version, or of other weights than the
    safetensors file of the same name next to it.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such exported file")
    weights = path if path.suffix == SUFFIXES["onnx"] else path.with_suffix(".bin")
    if weights.is_file() and weights.stat().st_size > MAX_MODEL_BYTES:
        raise UserError(f"{path}: larger than {MAX_MODEL_BYTES >> 20} MB, unlike any network of this package")
    is_onnx = path.suffix == SUFFIXES["onnx"]
    check_installed("onnxruntime" if is_onnx else "openvino")
    metadata = onnx_metadata(path) if is_onnx else openvino_metadata(path, (CARD_KEY, EXPORT_KEY))
    if CARD_KEY not in metadata or EXPORT_KEY not in metadata:
        raise UserError(f"{path}: has no model card of fcn_follow; another program made it")
    card = card_of(path, metadata[CARD_KEY])
    try:
        about = json.loads(metadata[EXPORT_KEY])
        if about["version"] != VERSION:
            raise UserError(
                f"{path}: exported in version {shown(about['version'])}, this package reads {VERSION}; {EXPORT_AGAIN}"
            )
        precision = about.get("precision", "fp32")
        if precision != "fp32":
            raise UserError(f"{path}: exported in {shown(precision)}, which this package does not read; {EXPORT_AGAIN}")
        pixels = FRAMES * card.input_height_px * card.input_width_px
        unpacked = zlib.decompressobj().decompress(base64.b64decode(about["expected"]), pixels + 1)
        shape = (FRAMES, card.input_height_px, card.input_width_px)
        expected = np.frombuffer(unpacked, np.uint8).reshape(shape)
    except (ValueError, TypeError, KeyError, RecursionError, zlib.error) as error:
        raise UserError(f"{path}: the metadata of its export cannot be read ({error}); {EXPORT_AGAIN}") from error
    source = path.with_suffix(".safetensors")
    if source.is_file() and weights_digest(load_weights(source)) != about.get("weights"):
        raise UserError(f"{path}: exported from other weights than {source.name} beside it; {EXPORT_AGAIN}")
    return Exported(path, card, path.read_bytes() if is_onnx else path, expected)


def request_for(model: Model, request: EngineRequest) -> EngineRequest:
    """The request; for an exported file, `auto` replaces plain PyTorch, which cannot run it."""
    exported = isinstance(model, Exported) and request.engine == REFERENCE
    return replace(request, engine="auto") if exported else request


def choose_for(
    model: Model, request: EngineRequest, log: Callable[[str], None] = lambda _: None, output: Output = Output.CODES
) -> Choice:
    """The engine for weights (`choose_engine`) or for an exported file.

    For an exported file OpenVINO comes before ONNX Runtime, and bf16 before fp32 on a CPU with instructions for it.

    Raises UserError if no installed engine gives the expected output.
    """
    if isinstance(model, LoadedWeights):
        return choose_engine(model, request, log, output)
    problems = []
    for spec in _specs(request):
        try:
            problem = _difference(model, spec)
            if not problem:
                return Choice(open_model(spec, model.model, output), f"{spec}, as it was exported")
        except UserError as error:
            problem = str(error)
        problems.append(f"{spec}: {problem}")
        log(problems[-1])
    raise UserError(f"{model.path}: no engine runs it; {'; '.join(problems) or 'pip install onnx openvino'}")


def _specs(request: EngineRequest) -> list[EngineSpec]:
    names = ["openvino", "onnxruntime"]
    if request.engine != "auto":
        check_installed(request.engine)
        names = [request.engine]
    device = "cuda" if request.device == "cuda" else "cpu"
    return [spec for name in names for spec in reversed(specs_of(request, name, device))]


def _difference(model: Exported, spec: EngineSpec) -> str:
    engine = open_model(spec, model.model, Output.CODES)
    frames = drawn_frames(model.card.input_height_px, model.card.input_width_px)
    return difference(answers_of(engine, frames).classes, model.expected, spec.precision)
