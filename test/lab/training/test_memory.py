"""A training step finds the memory of the step before."""

import ctypes
import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource, sys
import torch
from torch import nn
from fcn_follow.lab.training.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
torch.set_num_threads(1)
network = nn.Sequential(nn.Conv2d(3, 24, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.ReLU())
images = torch.ones(6, 3, 256, 256)
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    network(images).mean().backward()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[2:]))
"""


def page_faults(mode):
    command = [sys.executable, "-c", PAGE_FAULTS, mode]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc has mallopt")
def test_a_step_gets_the_memory_of_the_step_before():
    assert page_faults("keep") < page_faults("default") / 5
