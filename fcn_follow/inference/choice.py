"""The choice of the engine for a network: verified and measured at the first start, then cached."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fcn_follow.errors import UserError
from fcn_follow.inference.cache import Trial, read_trials, write_trials
from fcn_follow.inference.engine import Engine, EngineSpec, Output, flying_output, open_engine
from fcn_follow.inference.kinds import PRECISIONS, check_installed, missing_for
from fcn_follow.inference.machine import find_device, library_versions, machine_name, usable_cores, weights_digest
from fcn_follow.inference.verification import Verification
from fcn_follow.networks.weights import LoadedWeights

REFERENCE = "torch"
ROUNDS, MIN_ROUNDS, MAX_ROUNDS_S = 20, 5, 2.0  # frames for each candidate, fewer if they take longer
ALLOWED = {
    ("torch", "cpu"): ("fp32", "bf16"),
    ("torch", "cuda"): ("fp32", "bf16", "fp16"),
    ("torch-compiled", "cpu"): ("fp32", "bf16"),
    ("torch-compiled", "cuda"): ("fp32", "bf16", "fp16"),
    ("onnxruntime", "cpu"): ("fp32",),
    ("onnxruntime", "cuda"): ("fp32",),
    ("openvino", "cpu"): ("fp32", "bf16"),
    ("tensorrt", "cuda"): ("fp32", "fp16"),
}
AUTOMATIC = {
    "cpu": ("torch", "onnxruntime", "openvino"),  # torch-compiled needs a compiler and a minute
    "cuda": ("torch", "torch-compiled", "onnxruntime", "tensorrt"),
}


@dataclass(frozen=True)
class EngineRequest:
    """The user's choice; with `auto` the fastest engine, device or precision is chosen.

    streams is the number of frames that an engine on the CPU processes at once; the measurement uses one.
    """

    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    streams: int = 1

    def spec(self, name: str, device: str, precision: str) -> EngineSpec:
        """The spec of an engine for this request."""
        return EngineSpec(name, device, precision, self.threads, self.streams if device == "cpu" else 1)


@dataclass(frozen=True)
class Choice:
    """The chosen engine, and the reason in words."""

    engine: Engine
    reason: str


def choose_engine(
    weights: LoadedWeights,
    request: EngineRequest,
    log: Callable[[str], None] = lambda _: None,
    output: Output = Output.CODES,
) -> Choice:
    """Open the requested engine, or the fastest one that works, and cache the measurement for the next start.

    Plain PyTorch replaces an engine whose output differs from its own. `log` gets refusals and the start of a
    measurement.

    Raises UserError for an engine that is unknown or not installed, or that cannot compute as requested.
    """
    check_threads(request.threads, log)
    specs = candidates(request)
    key = _key(weights, request, specs)
    trials = read_trials(key)
    measured_now = not trials
    if measured_now:
        if len(specs) > 1:
            log(f"first start with these weights: {len(specs)} engines are measured, for a few seconds")
        trials = try_all(weights, specs)
        if not any(trial.broke for trial in trials):  # the next start may succeed
            write_trials(key, trials)
    for trial in trials:
        if trial.problem and (measured_now or request.engine != "auto"):
            log(f"{trial.spec} is not used: {trial.problem}")
    usable = sorted((trial for trial in trials if not trial.problem), key=lambda trial: trial.frame_ms)
    for trial in usable:
        try:
            return Choice(open_engine(trial.spec, weights, output), _reason(trial, usable, measured_now))
        except UserError as error:  # although it worked during the measurement
            log(f"{trial.spec} is not used: {error}")
    reference = request.spec(REFERENCE, find_device(request.device).type, "fp32")
    return Choice(open_engine(reference, weights, output), f"{reference}, because nothing else works here")


def candidates(request: EngineRequest) -> list[EngineSpec]:
    """The engines to try for a request. Raises UserError if this machine has none."""
    device = find_device(request.device).type
    if request.precision not in PRECISIONS:
        raise UserError(f"precision {request.precision!r} is not known; it must be one of {', '.join(PRECISIONS)}")
    if request.precision == "fp16" and device == "cpu":
        raise UserError("precision fp16 needs a CUDA device; on a CPU use fp32 or bf16")
    names: Sequence[str] = AUTOMATIC[device]
    if request.engine != "auto":
        check_installed(request.engine)
        names = [request.engine]
    specs = [spec for name in names for spec in specs_of(request, name, device)]
    if not specs:
        raise UserError(f"engine {request.engine} cannot compute in {request.precision} on {device}")
    return specs


def specs_of(request: EngineRequest, name: str, device: str) -> list[EngineSpec]:
    """An engine in each precision that suits the request; none if it is not installed, or not for this device."""
    return [
        request.spec(name, device, precision)
        for precision in (() if missing_for(name) else ALLOWED.get((name, device), ()))
        if precision == request.precision or (request.precision == "auto" and is_accelerated(name, device, precision))
    ]


def is_accelerated(name: str, device: str, precision: str) -> bool:
    """Whether `auto` tries a precision: fp32, and others if the hardware has instructions for them."""
    if precision == "fp32":
        return True
    if name == "openvino":
        from fcn_follow.inference.openvino_engine import has_bf16

        return has_bf16()
    return device == "cuda" and precision == "fp16"


def try_all(weights: LoadedWeights, specs: Sequence[EngineSpec]) -> list[Trial]:
    """Open, verify and measure engines, in turn for each frame, so that other load affects all of them alike."""
    verification = Verification(weights)
    engines: dict[EngineSpec, Engine] = {}
    problems: dict[EngineSpec, str] = {}
    broke: set[EngineSpec] = set()
    for spec in specs:
        try:
            engines[spec] = open_engine(spec, weights, flying_output(weights.card))
            problems[spec] = verification.problem(engines[spec])
        except UserError as error:
            problems[spec] = str(error)
        except Exception as error:  # other versions of a library may raise anything
            problems[spec] = f"{type(error).__name__}: {error}".splitlines()[0]
            broke.add(spec)
    times_s: dict[EngineSpec, list[float]] = {spec: [] for spec in specs if not problems[spec]}
    end_s = time.perf_counter() + MAX_ROUNDS_S
    for i in range(ROUNDS):
        if i >= MIN_ROUNDS and time.perf_counter() > end_s:
            break
        frame = verification.frames[i % len(verification.frames)][None]
        for spec, times in times_s.items():
            begun_s = time.perf_counter()
            engines[spec].run(frame)
            times.append(time.perf_counter() - begun_s)
    return [
        Trial(spec, problem=problem, broke=spec in broke)
        if problem
        else Trial(spec, 1e3 * statistics.median(times_s[spec]))
        for spec, problem in problems.items()
    ]


def check_threads(threads: int, log: Callable[[str], None]) -> None:
    """Log a warning if there are more threads than cores, because that is slower."""
    if threads > usable_cores():
        log(f"{threads} threads are more than the {usable_cores()} cores that this process may use, which is slower")


def _reason(trial: Trial, usable: Sequence[Trial], measured_now: bool) -> str:
    others = ", ".join(f"{other.spec.name} {other.spec.precision} {other.frame_ms:.1f} ms" for other in usable)
    compared = f", the fastest of {others}" if len(usable) > 1 else f", {trial.frame_ms:.1f} ms a frame"
    return f"{trial.spec}{compared} ({'measured now' if measured_now else 'as measured at the first start'})"


def _key(weights: LoadedWeights, request: EngineRequest, specs: Sequence[EngineSpec]) -> str:
    """What the trials depend on: weights with their card, machine, libraries and request."""
    versions = [f"{name} {version}" for name, version in library_versions().items()]
    return "\n".join([weights_digest(weights), machine_name(), *versions, str(request), *map(str, specs)])
