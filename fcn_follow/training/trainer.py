"""The training loop: steps on augmented batches, a look at the held-out runs, the best weights kept."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from fcn_follow.data.augment import augment, normalise, to_tensors
from fcn_follow.data.bank import FrameBank
from fcn_follow.errors import UserError
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.tensor_file import save_tensors
from fcn_follow.networks.weights import LoadedWeights, ModelCard, save_weights
from fcn_follow.scoring.evaluation import Evaluation, LabelledFrame, evaluate
from fcn_follow.training.checkpoint import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    module_tensors,
    optimizer_tensors,
    restore_module,
    restore_optimizer,
    save_checkpoint,
)
from fcn_follow.training.losses import parse_loss
from fcn_follow.training.parameters import TrainingParameters
from fcn_follow.training.sampling import epoch_indices, frame_weights
from fcn_follow.training.schedule import learning_rate

MAIN_FIGURES = 4
"""So many of an epoch's figures, the first ones, are told and drawn."""


@dataclass(frozen=True)
class EpochReport:
    """What an epoch brought; the score is None, and there are no figures, where held-out frames were not looked at."""

    epoch: int
    loss: float
    learning_rate: float
    score: float | None = None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class Trainer:
    """A training in progress; `fit` runs it to the end, `resume` goes on from the last checkpoint."""

    parameters: TrainingParameters
    bank: FrameBank
    held_out: Sequence[LabelledFrame]
    out: Path
    card: ModelCard
    device: torch.device
    teacher: nn.Module | None = None
    history: list[EpochReport] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = -1

    def __post_init__(self) -> None:
        parameters = self.parameters
        torch.manual_seed(parameters.seed)
        torch.set_flush_denormal(True)  # gradients of a sure network are denormal, which a CPU computes very slowly
        self.generator = torch.Generator(self.device).manual_seed(parameters.seed)
        self.order = torch.Generator().manual_seed(parameters.seed)
        self.network = build_network(parameters.network).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.forward = torch.compile(self.network) if parameters.compile else self.network
        self.average = copy.deepcopy(self.network).eval() if parameters.ema_decay else self.network
        class_weights = torch.tensor([1.0, parameters.people_weight, parameters.hero_weight], device=self.device)
        self.loss = parse_loss(parameters.loss, class_weights)
        kind = torch.optim.AdamW if parameters.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            self.network.parameters(), lr=parameters.learning_rate, weight_decay=parameters.weight_decay, eps=1e-7
        )
        self.images = torch.from_numpy(self.bank.images).to(self.device)
        self.labels = torch.from_numpy(self.bank.labels).to(self.device)
        self.weights = frame_weights(self.bank, parameters)
        self.steps_per_epoch = parameters.steps_per_epoch or max(len(self.bank) // parameters.batch_size, 1)

    def start_from(self, weights: LoadedWeights) -> None:
        """Begin with these weights. Raises UserError when they are of another network."""
        card = weights.card
        if card.network != self.parameters.network or card.graph is not None:
            kind = f"{card.network}, imported from Keras" if card.graph is not None else card.network
            raise UserError(f"the weights to start from are of {kind}, not {self.parameters.network}")
        self.network.load_state_dict(weights.network.state_dict())
        self.average.load_state_dict(weights.network.state_dict())

    def resume(self) -> None:
        """Take up the checkpoint beside the weights. Raises UserError when there is none, or one of other settings."""
        path = checkpoint_path(self.out)
        checkpoint = load_checkpoint(path)
        notes = checkpoint.notes
        if notes["parameters"] != dataclasses.asdict(self.parameters) or notes["frames"] != len(self.bank):
            raise UserError(f"{path}: made with other settings or data; resume with the same, or start anew without it")
        restore_module("network", self.network, checkpoint.tensors)
        if self.parameters.ema_decay:
            restore_module("average", self.average, checkpoint.tensors)
        restore_optimizer(self.optimizer, checkpoint.tensors)
        self.generator.set_state(checkpoint.tensors["generator"])
        self.order.set_state(checkpoint.tensors["order"])
        self.history = [EpochReport(**report) for report in notes["history"]]
        self.best_score, self.best_epoch = notes["best_score"], notes["best_epoch"]

    def fit(self, on_step: Callable[[int, float], None], on_epoch: Callable[[EpochReport], None]) -> None:
        """Train the epochs that are left.

        The best weights so far lie at `out` after each look; the end of each epoch is a checkpoint, so that an
        interruption loses at most the epoch it falls in.

        Raises UserError when the loss is no number any more; the batch is then saved beside the weights.
        """
        parameters = self.parameters
        for epoch in range(len(self.history), parameters.epochs):
            loss = self._epoch(epoch, on_step)
            rate = self.optimizer.param_groups[0]["lr"]
            report = EpochReport(epoch, loss, rate)
            if (epoch + 1) % parameters.evaluate_epochs == 0 or epoch + 1 == parameters.epochs:
                report = self._judged(report)
            self.history.append(report)
            self._save_checkpoint()
            on_epoch(report)
            if parameters.early_stop_epochs and epoch - self.best_epoch >= parameters.early_stop_epochs:
                break

    def judge(self) -> tuple[float, dict[str, float]]:
        """The weights as they are now on the held-out frames: the score that chooses the best, and all figures."""
        result = self.evaluate()
        return result.follow_me.final_score, card_scores(result)

    def evaluate(self) -> Evaluation:
        """The weights as they are now on the held-out runs."""
        was_training = self.network.training
        result = evaluate(self.average.eval(), self.card, self.held_out)
        self.network.train(was_training)
        return result

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Augmented, normalised images and soft targets, N x 3 x S x S, of the bank's frames at these indices."""
        indices = indices.to(self.device)
        images, masks = to_tensors(self.images[indices], self.labels[indices])
        images, masks = augment(images, masks, self.parameters.input_px, self.parameters.augment, self.generator)
        return normalise(images).contiguous(memory_format=torch.channels_last), masks

    def batch_loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of one batch, the teacher's part included."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.parameters.precision == "bf16"):
            logits = self.forward(images)
        loss = self.loss(logits.float(), targets)
        if self.teacher is not None:
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                answer = torch.softmax(self.teacher(images).float(), 1)
            loss = loss + self.parameters.distillation * self.loss(logits.float(), answer)
        return loss

    def step(self, images: Tensor, targets: Tensor, rate: float) -> Tensor:
        """One step of the optimizer at this learning rate; the batch's loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.batch_loss(images, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        return loss.detach()

    def _epoch(self, epoch: int, on_step: Callable[[int, float], None]) -> float:
        parameters = self.parameters
        count = self.steps_per_epoch * parameters.batch_size
        indices = epoch_indices(self.weights, count, parameters.sampling, self.order)
        self.network.train()
        total = torch.zeros((), device=self.device)
        for step in range(self.steps_per_epoch):
            rate = learning_rate(parameters, epoch * self.steps_per_epoch + step, self.steps_per_epoch)
            images, targets = self.batch(indices[step * parameters.batch_size : (step + 1) * parameters.batch_size])
            loss = self.step(images, targets, rate)
            self._update_average(epoch * self.steps_per_epoch + step)
            total += loss
            if step % 20 == 0 or step + 1 == self.steps_per_epoch:
                self._check_finite(float(loss), images, targets)
                on_step(step + 1, float(total) / (step + 1))
        return float(total) / self.steps_per_epoch

    def _update_average(self, step: int) -> None:
        """Move the averaged weights towards the present ones, faster in the first steps."""
        if not self.parameters.ema_decay:
            return
        share = 1.0 - min(self.parameters.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(_float_state(self.average), _float_state(self.network), share)

    def _check_finite(self, loss: float, images: Tensor, targets: Tensor) -> None:
        if not math.isfinite(loss):
            path = self.out.with_suffix(".nan-batch")
            save_tensors(path, {"images": images, "targets": targets})
            raise UserError(
                f"the loss is {loss}; the batch is in {path}. "
                f"Lower the learning rate ({self.parameters.learning_rate:g})"
            )

    def _judged(self, report: EpochReport) -> EpochReport:
        """The report with the held-out frames' figures; the weights are kept when they are the best so far."""
        score, figures = self.judge()
        if score > self.best_score:
            self.best_score, self.best_epoch = score, report.epoch
            save_weights(self.out, self.average, dataclasses.replace(self.card, scores=figures))
        return dataclasses.replace(report, score=score, figures=figures)

    def _save_checkpoint(self) -> None:
        tensors = module_tensors("network", self.network) | optimizer_tensors(self.optimizer)
        if self.parameters.ema_decay:
            tensors |= module_tensors("average", self.average)
        tensors |= {"generator": self.generator.get_state(), "order": self.order.get_state()}
        notes = {
            "parameters": dataclasses.asdict(self.parameters),
            "frames": len(self.bank),
            "history": [dataclasses.asdict(report) for report in self.history],
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
        }
        save_checkpoint(checkpoint_path(self.out), Checkpoint(tensors, notes))


def _float_state(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]


def card_scores(result: Evaluation) -> dict[str, float]:
    """The figures of an evaluation that a model card states."""
    folders, honest = result.follow_me.folders, result.honest
    figures = {
        "final_score": result.follow_me.final_score,
        "final_iou": result.follow_me.final_iou,
        "near_iou": folders["following_images"].iou_hero,
        "far_iou": folders["patrol_with_targ"].iou_hero,
        "false_alarms_per_1000": honest.false_alarms_per_1000,
        **{f"recall_{name}_px": figures.recall for name, figures in honest.by_size_px.items()},
    }
    return {name: round(float(value), 4) for name, value in figures.items() if value is not None}
