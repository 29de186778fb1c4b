"""The processes of one training run, one for each GPU, as torchrun starts them; mostly there is only one."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)  # the others wait while rank 0 validates


Backward = Callable[[Sequence[Tensor], Sequence[Tensor]], None]
"""Sends gradients back from outputs, as ``torch.autograd.backward`` does."""


class LastPass(nn.Module):
    """A forward pass that touches every weight of a policy once, whatever passes through it were made before.

    DistributedDataParallel averages what has gathered in the weights' gradients during the backward pass of the one
    forward pass that it knows of, and a step makes many (see ``training.accumulate_gradients``).
    """

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, outputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """A number whose gradient with respect to the outputs is the one given, and 0 beside that."""
        touched = torch.stack([weight.sum() for weight in self.policy.parameters()]).sum()
        products = [(output * gradient).sum() for output, gradient in zip(outputs, gradients, strict=True)]
        return torch.stack(products).sum() + 0 * touched


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this one reports and writes."""
        return self.rank == 0

    def backward(self, policy: nn.Module) -> Backward:
        """The last backward pass of a step: after it each gradient of the policy is its mean over the ranks."""
        if self.size == 1:
            return torch.autograd.backward
        parallel = DistributedDataParallel(LastPass(policy))
        return lambda outputs, gradients: parallel(outputs, gradients).backward()

    def average(self, tensor: Tensor) -> None:
        """Replace a tensor by its mean over the ranks."""
        if self.size > 1:
            distributed.all_reduce(tensor)
            tensor /= self.size

    def wait(self) -> None:
        """Return when all ranks have come here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """This process's place among torchrun's, by the variables that it sets, and the GPU that is its own."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(), device
        return
    cuda = device.type == "cuda"
    if cuda:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(distributed.get_rank(), size), device
    finally:
        distributed.destroy_process_group()
