"""Export a network for other runtimes: ONNX, OpenVINO IR or torch.export, each with the model card inside.

Input `images`, uint8 N x H x W x 3 RGB of the card's size. Outputs `codes`, uint8 N x H x W (perception/labels.py),
`probabilities`, float N x 3 x H x W, and, if the network has depth in metres, `codes_and_depth`, float N x 2 x H x W
(perception/depth.py). A file also holds the output of plain PyTorch on drawn frames, with which its readers check
their output.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from pathlib import Path

import torch

from fcn_follow.errors import UserError
from fcn_follow.files import write_whole, written_aside
from fcn_follow.inference.engine import Output, deployed_graph, flying_output
from fcn_follow.inference.exported import EXPORT_KEY, SUFFIXES, VERSION
from fcn_follow.inference.interpreter import Interpreter
from fcn_follow.inference.kinds import check_installed
from fcn_follow.inference.machine import weights_digest
from fcn_follow.inference.verification import Verification
from fcn_follow.networks.weights import CARD_KEY, LoadedWeights


def _metadata(weights: LoadedWeights) -> dict[str, str]:
    """The card, and as JSON the version, the weights' digest, the precision and the expected codes."""
    expected = Verification(weights).expected
    about = {
        "version": VERSION,
        "weights": weights_digest(weights),
        "precision": "fp32",
        "expected": base64.b64encode(zlib.compress(expected.tobytes(), 9)).decode(),
    }
    return {CARD_KEY: json.dumps(dataclasses.asdict(weights.card)), EXPORT_KEY: json.dumps(about)}


def export(weights: LoadedWeights, path: Path) -> list[Path]:
    """Write a network in the format of the path's suffix, whole or not at all; the written files.

    Raises UserError for another suffix, a runtime that is not installed, or a path that cannot be written.
    """
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items()}
    if path.suffix not in kinds:
        raise UserError(f"{path}: the suffix gives the format; it must be one of {', '.join(kinds)}")
    write = {"onnx": _export_onnx, "openvino": _export_openvino, "torch": _export_torch}[kinds[path.suffix]]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write(weights, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def _onnx(weights: LoadedWeights) -> bytes:
    check_installed("onnxruntime")
    from fcn_follow.inference.onnx_model import onnx_model

    flying = flying_output(weights.card)
    outputs = [output.value for output in dict.fromkeys((Output.CODES, Output.PROBABILITIES, flying))]
    return onnx_model(deployed_graph(weights, flying), _metadata(weights), outputs=outputs)


def _export_onnx(weights: LoadedWeights, path: Path) -> list[Path]:
    write_whole(path, _onnx(weights))
    return [path]


def _export_openvino(weights: LoadedWeights, path: Path) -> list[Path]:
    check_installed("openvino")
    import openvino

    model = openvino.Core().read_model(_onnx(weights))
    for key, value in _metadata(weights).items():
        model.set_rt_info(value, [key])
    weights_path = path.with_suffix(".bin")
    with written_aside(path) as part:
        openvino.save_model(model, part, compress_to_fp16=False)
        part.with_suffix(".bin").replace(weights_path)
    return [weights_path, path]


def _export_torch(weights: LoadedWeights, path: Path) -> list[Path]:
    card = weights.card
    module = Interpreter(deployed_graph(weights, Output.CODES)).eval()
    images = torch.zeros((1, card.input_height_px, card.input_width_px, 3), dtype=torch.uint8)
    with torch.no_grad():
        program = torch.export.export(module, (images,))
    with written_aside(path) as part:
        torch.export.save(program, part, extra_files=_metadata(weights))
    return [path]
