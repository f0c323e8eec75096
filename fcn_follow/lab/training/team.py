"""Several processes, started by torchrun, that train one network as one process would.

Every process draws and augments the whole batch from the same seed and computes its part of it. Losses are of the whole
batch (dice, say, is no mean over frames), so each process gets the other parts' outputs; batch norms take the mean and
variance of the whole batch; and the gradients are added up. What differs from one process is the order of summation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fcn_follow.errors import MAX_LINE, UserError

WAIT = timedelta(hours=2)  # for the first process, which alone judges the weights


class Team:
    """This process among those that train together; alone where torchrun has not started several."""

    def __init__(self) -> None:
        joined = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if joined else 0
        self.size = dist.get_world_size() if joined else 1

    @property
    def is_first(self) -> bool:
        """Whether this process judges, writes the files and shows the progress."""
        return self.rank == 0

    def check(self, batch_size: int) -> None:
        """Raise UserError where the batch cannot be divided into equal parts."""
        if batch_size % self.size:
            raise UserError(f"batch_size {batch_size} cannot be divided among {self.size} processes; take a multiple")

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network, for the forward pass of a part: with norms of the whole batch and the mean of all gradients."""
        if self.size == 1:
            return network
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.__class__ = _WholeBatchNorm
        return DistributedDataParallel(network)

    def part(self, whole: Tensor) -> Tensor:
        """This process' rows of a tensor that all have."""
        rows = len(whole) // self.size
        return whole[self.rank * rows : (self.rank + 1) * rows]

    def whole(self, part: Tensor) -> Tensor:
        """The rows of all processes; the gradient flows back into those of this one."""
        if self.size == 1:
            return part
        part = part.contiguous()
        parts = [torch.empty_like(part) for _ in range(self.size)]
        dist.all_gather(parts, part.detach())
        parts[self.rank] = part
        return torch.cat(parts)

    def refuse_together(self, check: Callable[[], None]) -> None:
        """Run a check of files in the first process; where it raises a UserError, all processes raise the same."""
        refusal = ""
        if self.is_first:
            try:
                check()
            except UserError as error:
                refusal = str(error)
        if self.size > 1:
            text = refusal.encode()
            shared = torch.zeros(4 * MAX_LINE, dtype=torch.uint8)  # UTF-8 has up to 4 bytes a character
            shared[: len(text)] = torch.tensor(list(text), dtype=torch.uint8)
            shared = shared.to(self._device)
            dist.broadcast(shared, 0)
            refusal = bytes(shared.tolist()).rstrip(b"\0").decode()
        if refusal:
            if self.size > 1:
                dist.destroy_process_group()  # without this a process may abort as it ends
            raise UserError(refusal)

    @property
    def _device(self) -> str:
        """Where a tensor must be to be sent."""
        return "cuda" if dist.get_backend() == "nccl" else "cpu"

    def of_first(self, value: float) -> float:
        """The value that the first process has; the others wait for it."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self._device)
        dist.broadcast(shared, 0)
        return float(shared)


def join_team(device: torch.device) -> Team:
    """Join the processes of torchrun, if it has started this one, each with the GPU of its number.

    Raises UserError where there are fewer GPUs than processes, or something else has started several.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if not size.isdecimal():
        raise UserError(f"WORLD_SIZE is '{size}' and no number; start several processes by torchrun")
    if int(size) > 1 and not (dist.is_available() and dist.is_torchelastic_launched()):
        raise UserError(f"WORLD_SIZE is {size}, but torchrun has not started this process; use torchrun, or unset it")
    if int(size) > 1:
        if device.type == "cuda":
            number = int(os.environ["LOCAL_RANK"])
            if number >= torch.cuda.device_count():
                raise UserError(f"torchrun: there are {torch.cuda.device_count()} GPUs; give --nproc-per-node as many")
            torch.cuda.set_device(number)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT)
    return Team()


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


class _WholeBatchNorm(nn.BatchNorm2d):
    """Batch norm over the parts of all processes; torch.nn.SyncBatchNorm does not run on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.numel() // values.shape[1] * dist.get_world_size()
        mean = _summed(values.sum((0, 2, 3))) / count
        centred = values - mean.view(1, -1, 1, 1)
        variance = _summed(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            assert self.num_batches_tracked is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = torch.rsqrt(variance + self.eps) * self.weight
        normed: Tensor = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return normed.to(x.dtype)
