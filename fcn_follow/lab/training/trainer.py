"""The training loop: steps on augmented batches, evaluation on held-out frames, the best weights kept."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fcn_follow.errors import UserError
from fcn_follow.lab.data.augment import degrade, normalise, rearrange, resize, resize_frames, to_tensors
from fcn_follow.lab.data.bank import FrameBank
from fcn_follow.lab.scoring.evaluation import LabelledFrame, evaluate
from fcn_follow.lab.training.checkpoint import (
    Checkpoint,
    changed_settings,
    checkpoint_path,
    load_checkpoint,
    module_tensors,
    optimizer_tensors,
    restore_module,
    restore_optimizer,
    save_checkpoint,
)
from fcn_follow.lab.training.frozen import freeze_all_but
from fcn_follow.lab.training.judgement import card_scores, quality
from fcn_follow.lab.training.memory import keep_freed_memory
from fcn_follow.lab.training.objective import Objective, learned_depth
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.lab.training.sampling import epoch_indices, frame_weights, highest_false_hero
from fcn_follow.lab.training.schedule import learning_rate
from fcn_follow.lab.training.team import Team
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.sources.mask_depth import class_logits
from fcn_follow.networks.tensor_file import save_tensors
from fcn_follow.networks.weights import LoadedWeights, ModelCard, save_weights

MAIN_FIGURES = 4
"""The number of an epoch's figures that are printed and drawn, the first ones."""


@dataclass(frozen=True)
class EpochReport:
    """The results of an epoch; without an evaluation the score is None and there are no figures."""

    epoch: int
    loss: float
    learning_rate: float
    score: float | None = None
    figures: dict[str, float] = field(default_factory=dict)


class Batch(NamedTuple):
    """Images N x 3 x S x S as the network takes them, soft targets of the same size, and the teacher's probabilities.

    The fourth channel of the targets, where there is one, is the depth. `answers` are of this process' part of the
    batch; None without a teacher.
    """

    images: Tensor
    targets: Tensor
    answers: Tensor | None


class _Step(NamedTuple):
    """The loss of a step, and what it takes to make its batch again: frames and the generator's state before it."""

    indices: Tensor
    chance: Tensor
    loss: Tensor


@dataclass
class Trainer:
    """A training in progress; `fit` runs it to the end, `resume` continues from the last checkpoint."""

    parameters: TrainingParameters
    bank: FrameBank
    held_out: Sequence[LabelledFrame]
    out: Path
    card: ModelCard
    device: torch.device
    teacher: LoadedWeights | None = None
    history: list[EpochReport] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = -1
    frames_seen: int = 0
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        parameters = self.parameters
        self.team = Team()
        self.team.check(parameters.batch_size)
        torch.manual_seed(parameters.seed)
        keep_freed_memory()
        torch.set_flush_denormal(True)  # gradients become denormal, which a CPU computes very slowly
        self.generator = torch.Generator(self.device).manual_seed(parameters.seed)
        self.order = torch.Generator().manual_seed(parameters.seed)
        self.network = build_network(parameters.network).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval() if parameters.ema_decay else self.network
        self.objective = Objective(parameters, self.device)
        self.frozen = freeze_all_but(self.network, parameters.learn)
        forward = self.team.wrapped(self.network)  # knows which layers are frozen
        self.forward = torch.compile(forward) if parameters.compile else forward
        kind = torch.optim.AdamW if parameters.optimizer == "adamw" else torch.optim.Adam
        learning = [tensor for tensor in self.network.parameters() if tensor.requires_grad]
        self.optimizer = kind(learning, lr=parameters.learning_rate, weight_decay=parameters.weight_decay, eps=1e-7)
        self.images = torch.from_numpy(self.bank.images).to(self.device)
        self.labels = torch.from_numpy(self.bank.labels).to(self.device)
        self.depth = learned_depth(self.bank, parameters).to(self.device)
        self.data = self.bank.checksum
        self.alarms = torch.ones(len(self.bank), device=self.device)
        self.steps_per_epoch = parameters.steps_per_epoch or max(len(self.bank) // parameters.batch_size, 1)

    def start_from(self, weights: LoadedWeights) -> None:
        """Begin with these weights; layers that they lack keep their own.

        Raises UserError where they are of a network that is not a part of this one.
        """
        card, own = weights.card, self.network.state_dict()
        given = weights.network.state_dict()
        fits = all(name in own and own[name].shape == tensor.shape for name, tensor in given.items())
        if not fits or card.graph is not None:
            kind = f"{card.network}, imported from Keras" if card.graph is not None else card.network
            raise UserError(f"the weights to start from are of {kind}, not {self.parameters.network}")
        self.network.load_state_dict(own | given)
        self.average.load_state_dict(own | given)

    def resume(self) -> None:
        """Restore the checkpoint beside the weights. Raises UserError where it is missing or of other settings."""
        path = checkpoint_path(self.out)
        checkpoint = load_checkpoint(path)
        notes = checkpoint.notes
        again = "resume with the same, or choose another --out"
        if notes["parameters"] != dataclasses.asdict(self.parameters):
            changes = changed_settings(self.parameters, notes["parameters"])
            raise UserError(f"{path}: made with other settings: {changes}; {again}")
        if notes.get("data") != self.data:
            raise UserError(f"{path}: made with other frames; {again}")
        restore_module("network", self.network, checkpoint.tensors)
        if self.parameters.ema_decay:
            restore_module("average", self.average, checkpoint.tensors)
        restore_optimizer(self.optimizer, checkpoint.tensors)
        self.generator.set_state(checkpoint.tensors["generator"])
        self.order.set_state(checkpoint.tensors["order"])
        self.alarms.copy_(checkpoint.tensors["alarms"])
        self.history = [EpochReport(**report) for report in notes["history"]]
        self.best_score, self.best_epoch = notes["best_score"], notes["best_epoch"]
        self.frames_seen, self.spent_s = notes["frames_seen"], notes["spent_s"]

    @property
    def ended_by(self) -> str:
        """Why nothing is left to train; empty while something is."""
        parameters, done = self.parameters, len(self.history)
        if done >= parameters.epochs:
            return f"it has all its {parameters.epochs} epochs"
        if parameters.minutes and self.spent_s >= 60.0 * parameters.minutes:
            return f"its time, minutes={parameters.minutes:g}, is over"
        if self._stops_early():
            return f"{parameters.early_stop_epochs} epochs have not bettered its score"
        return ""

    def _stops_early(self) -> bool:
        patience = self.parameters.early_stop_epochs
        return bool(patience) and len(self.history) - 1 - self.best_epoch >= patience

    def fit(self, on_step: Callable[[int, float], None], on_epoch: Callable[[EpochReport], None]) -> None:
        """Train the remaining epochs, or until the minutes are over.

        The best weights so far are at `out` after each evaluation; each epoch ends with a checkpoint, so that an
        interruption loses at most one epoch.

        Raises UserError where the loss is NaN or infinite; the batch is then saved beside the weights.
        """
        parameters = self.parameters
        if self.ended_by:
            return
        self._began_s = time.monotonic() - self.spent_s
        for epoch in range(len(self.history), parameters.epochs):
            loss = self._epoch(epoch, on_step)
            rate = self.optimizer.param_groups[0]["lr"]
            report = EpochReport(epoch, loss, rate)
            is_last = epoch + 1 == parameters.epochs or self._time_share() >= 1.0
            if (epoch + 1) % parameters.evaluate_epochs == 0 or is_last:
                report = self._judged(report)
            self.history.append(report)
            self.spent_s = time.monotonic() - self._began_s
            self._save_checkpoint()
            on_epoch(report)
            if is_last or self._stops_early():
                break

    def judge(self) -> tuple[float, dict[str, float]]:
        """Evaluate the weights, in eval mode, on the held-out frames: the score to keep weights by, and all figures."""
        result = evaluate(self.average, self.card, self.held_out)
        return quality(result, self.parameters.keep_by), card_scores(result)

    def batch(self, indices: Tensor) -> Batch:
        """The bank's frames at these indices, augmented; a teacher sees them at its own size, not yet degraded."""
        indices, size_px = indices.to(self.device), self.parameters.input_px
        images, masks = to_tensors(self.images[indices], self.labels[indices])
        targets = torch.cat([masks, self.depth[indices].float()], 1)
        seen_px = max(size_px, self.teacher.card.input_height_px) if self.teacher else size_px
        images, targets = rearrange(images, targets, seen_px, self.parameters.augment, self.generator)
        answers = self._teacher_answers(images) if self.teacher else None
        images, targets = resize_frames(images, targets, size_px)
        images = degrade(images, self.parameters.augment, self.generator)
        return Batch(normalise(images).contiguous(memory_format=torch.channels_last), targets, answers)

    def _teacher_answers(self, images: Tensor) -> Tensor:
        """The teacher's probabilities N x 3 x S x S at the size of the network's input, for images in 0..1."""
        assert self.teacher is not None
        images = normalise(resize(self.team.part(images), self.teacher.card.input_height_px))
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = class_logits(self.teacher.network(images.contiguous(memory_format=torch.channels_last)))
        return resize(torch.softmax(logits.float(), 1), self.parameters.input_px)

    def batch_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of one batch, with the teacher's share, and the network's output."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.parameters.precision == "bf16"):
            output = self.team.whole(self.forward(self.team.part(batch.images)).float())
        loss: Tensor = self.objective(output, batch.targets)
        if batch.answers is not None:
            loss = loss + self.parameters.distillation * self.objective.mask(output, self.team.whole(batch.answers))
        return loss, output.detach()

    def step(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """One step of the optimizer at this learning rate; the loss and the output of the batch before it.

        Where the gradient is NaN or infinite, its norm instead of the loss.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, output = self.batch_loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.team.size).backward()  # type: ignore[no-untyped-call]  # the mean of the gradients is then the sum
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        return torch.where(norm.isfinite(), loss.detach(), norm), output

    def _epoch(self, epoch: int, on_step: Callable[[int, float], None]) -> float:
        parameters = self.parameters
        count = self.steps_per_epoch * parameters.batch_size
        weights = frame_weights(self.bank, parameters, self.alarms.cpu() if parameters.mining else None)
        indices = epoch_indices(weights, count, parameters.sampling, self.order)
        self.network.train()
        for module in self.frozen:
            module.eval()
        total = torch.zeros((), device=self.device)
        unchecked: list[_Step] = []  # a check waits for the GPU
        for step in range(self.steps_per_epoch):
            rate = learning_rate(parameters, self.scheduled(epoch, step), self.steps_per_epoch)
            chosen = indices[step * parameters.batch_size : (step + 1) * parameters.batch_size]
            chance = self.generator.get_state()
            batch = self.batch(chosen)
            loss, output = self.step(batch, rate)
            if parameters.mining:
                places = chosen.to(self.device)
                self.alarms[places] = highest_false_hero(output, batch.targets, self.alarms[places])
            unchecked.append(_Step(chosen, chance, loss))
            self._update_average(epoch * self.steps_per_epoch + step)
            total += loss
            self.frames_seen += len(chosen)
            is_last = step + 1 == self.steps_per_epoch or self._time_share() >= 1.0
            if step % 20 == 0 or is_last:
                self._check_finite(unchecked)
                unchecked.clear()
                on_step(step + 1, float(total) / (step + 1))
            if is_last:
                break
        return float(total) / (step + 1)

    def _time_share(self) -> float:
        """The share of the minutes that is over; 0 without a limit."""
        limit_s = 60.0 * self.parameters.minutes
        return self.team.of_first((time.monotonic() - self._began_s) / limit_s) if limit_s else 0.0

    def scheduled(self, epoch: int, step: int) -> int:
        """How far the schedule is, in steps: where the minutes do not suffice for all of them, it skips some."""
        done, total = epoch * self.steps_per_epoch + step, self.parameters.epochs * self.steps_per_epoch
        return max(done, int(min(self._time_share(), 1.0) * total))

    def _update_average(self, step: int) -> None:
        """Move the averaged weights towards the current ones, faster in the first steps."""
        if not self.parameters.ema_decay:
            return
        share = 1.0 - min(self.parameters.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(_float_state(self.average), _float_state(self.network), share)

    def _check_finite(self, steps: Sequence[_Step]) -> None:
        """Raise UserError at the first step whose loss is NaN or infinite; its batch is made again and saved."""
        for step, loss in zip(steps, torch.stack([step.loss for step in steps]).tolist(), strict=True):
            if not math.isfinite(loss):
                self.generator.set_state(step.chance)
                batch = self.batch(step.indices)
                path = self.out.with_suffix(".nan-batch")
                if self.team.is_first:
                    save_tensors(path, {"images": batch.images, "targets": batch.targets})
                raise UserError(
                    f"the loss is {loss}; the batch is in {path}. "
                    f"Lower the learning rate ({self.parameters.learning_rate:g})"
                )

    def _judged(self, report: EpochReport) -> EpochReport:
        """The report with the figures of the held-out frames; the best weights so far are saved."""
        was_training = self.network.training
        self.average.eval()
        score, figures = self.judge() if self.team.is_first else (0.0, {})
        score = self.team.of_first(score)
        self.network.train(was_training)
        if score > self.best_score:
            self.best_score, self.best_epoch = score, report.epoch
            if self.team.is_first:
                save_weights(self.out, self.average, dataclasses.replace(self.card, scores=figures))
        return dataclasses.replace(report, score=score, figures=figures)

    def _save_checkpoint(self) -> None:
        if not self.team.is_first:
            return
        tensors = module_tensors("network", self.network) | optimizer_tensors(self.optimizer)
        if self.parameters.ema_decay:
            tensors |= module_tensors("average", self.average)
        tensors |= {"generator": self.generator.get_state(), "order": self.order.get_state(), "alarms": self.alarms}
        notes = {
            "parameters": dataclasses.asdict(self.parameters),
            "data": self.data,
            "history": [dataclasses.asdict(report) for report in self.history],
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "frames_seen": self.frames_seen,
            "spent_s": self.spent_s,
        }
        save_checkpoint(checkpoint_path(self.out), Checkpoint(tensors, notes))


def _float_state(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
