"""The identity of the machine, its libraries and a network's weights, as text."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

import torch

from fcn_follow.errors import UserError
from fcn_follow.inference.kinds import DEVICES
from fcn_follow.networks.weights import LoadedWeights

PACKAGES = ("torch", "openvino", "onnxruntime", "onnx", "tensorrt")


def find_device(device: str) -> torch.device:
    """The device for auto, cpu or cuda. Raises UserError for another name, or for cuda without a GPU."""
    if device not in DEVICES:
        raise UserError(f"device {device!r} is not known; it must be one of {', '.join(DEVICES)}")
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise UserError(
            "device cuda is requested, but PyTorch finds no CUDA GPU here; use device auto or cpu, "
            "or install a CUDA build of PyTorch and the NVIDIA driver"
        )
    return torch.device("cuda" if device != "cpu" and present else "cpu")


def release_memory() -> None:
    """Free the memory of engines that nothing refers to any more, on the GPU too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_name() -> str:
    """The model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_name() -> str:
    """CPU, cores and GPU."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu_name()} ({platform.machine()}), {usable_cores()} cores{gpu}"


def library_versions() -> dict[str, str]:
    """The versions of the libraries behind the engines; - for one that is not installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "-"
    return versions


def weights_digest(weights: LoadedWeights) -> str:
    """A hash of the network's tensors and its card."""
    digest = hashlib.sha256(repr(dataclasses.asdict(weights.card)).encode())
    for name, tensor in weights.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
