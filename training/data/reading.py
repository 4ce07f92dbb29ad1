"""Reading many videos with several processes: in their order, in bounded memory, and with every fault named."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from service.contract.errors import VideoError
from service.contract.wording import list_some
from training.errors import DataError

Result = TypeVar("Result")

# Videos that wait decoded for each process: bounds memory, and keeps all processes busy.
_NUM_AHEAD = 16


class BrokenVideosError(DataError):
    """Videos that do not decode; ``problems`` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Name the first of them."""
        named = list_some(problems, separator="; ")
        super().__init__(f"{len(problems)} videos do not decode: {named}; repair them or remove their annotations")
        self.problems = tuple(problems)


def read_each(videos: Sequence[Path], *, read: Callable[[Path], Result], num_workers: int) -> Iterator[Result | str]:
    """Read videos in their order; one that does not decode comes back as a sentence, so that one run names them all."""
    batch = _NUM_AHEAD * num_workers
    # spawn: threads of torch in this process must not be forked.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        for first in range(0, len(videos), batch):
            yield from pool.map(partial(_try, read), videos[first : first + batch], chunksize=4)


def _try(read: Callable[[Path], Result], video: Path) -> Result | str:
    try:
        return read(video)
    except VideoError as error:
        return f"{video}: {error}"
