"""The processes of a launch: joining them, telling which one speaks, and sharing work among them.

One process without a launcher is a launch of its own. How gradients are shared is in ``objectives``, how one model is
spread over processes in ``sharding``.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import (
    InitProcessGroupKwargs,
    broadcast_object_list,
    gather_object,
    get_cpu_distributed_information,
    parse_flag_from_env,
    wait_for_everyone,
)

from training.errors import SettingError

# Processes wait while the first one decodes a data set, far beyond the ten minutes that NCCL grants; launchers end
# them sooner where one of them fails.
_PATIENCE = timedelta(days=2)
# What launchers set for engines that spread one model over processes.
_SHARDING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Team:
    """The processes that share a piece of work, as one of them sees it; alone unless said otherwise.

    ``gather``, ``hear`` and ``wait`` return once all processes have called them.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and speaks to people."""
        return self.rank == 0

    def take(self, items: Sequence[Item]) -> Sequence[Item]:
        """Take this process's share: every ``size``-th item, so that each item is taken once.

        Of 5 items 2 processes take those at 0, 2, 4 and at 1, 3.
        """
        return items[self.rank :: self.size]

    def gather(self, own: Sequence[Item]) -> tuple[tuple[Item, ...], ...]:
        """Give every process what each of them has, in the order of ranks."""
        return (tuple(own),) if self.size == 1 else tuple(gather_object([tuple(own)]))

    def hear(self, word: bool) -> bool:
        """Give every process the word of the main one."""
        return word if self.size == 1 else bool(broadcast_object_list([word])[0])

    def wait(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            wait_for_everyone()


def interleave(shares: Sequence[Sequence[Item]]) -> list[Item]:
    """Put shares that ``Team.take`` made back in their order."""
    num_items, size = sum(map(len, shares)), len(shares)
    return [shares[index % size][index // size] for index in range(num_items)]


def join_launch() -> Accelerator:
    """Join the other processes of this launch, or work alone where there are none.

    Raises:
        SettingError: the launcher itself shards models, or started processes that cannot find each other.
    """
    if asked := [name for name in _SHARDING if parse_flag_from_env(name)]:
        raise SettingError(
            f"the launcher set {asked[0]} to shard the model, which is the work of fit; launch with --multi_gpu, and "
            "give fit --shard"
        )
    patience = InitProcessGroupKwargs(backend=None, timeout=_PATIENCE)
    accelerator = Accelerator(kwargs_handlers=[patience])
    if accelerator.num_processes == 1 < (num_started := count_started()):
        raise SettingError(
            f"the launcher started {num_started} processes, which found no GPUs to share; set ACCELERATE_USE_CPU=true "
            "to share the CPUs, or start one process"
        )
    # The first process keeps the address book. One that refuses its work at once would take it away from those that
    # are still looking the others up, and they would speak of a lost connection instead.
    accelerator.wait_for_everyone()
    return accelerator


def team_of(accelerator: Accelerator) -> Team:
    """Describe the processes of a launch that was joined."""
    return Team(accelerator.process_index, accelerator.num_processes)


def count_started() -> int:
    """Count the processes that the launcher started, by what it told this one."""
    return int(get_cpu_distributed_information().world_size)


def lacks_others() -> bool:
    """Whether the launcher prepared several processes, and then started this one alone.

    So does ``accelerate launch`` with ``--cpu`` or on less than two GPUs, whatever number of processes it is given,
    unless it has ``--multi_gpu`` or MPI.
    """
    return "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ and count_started() == 1


def read_rank() -> int:
    """Return the number of this process among those that the launcher started, before any of them is joined."""
    return int(get_cpu_distributed_information().rank)
