"""A pool of sandboxed worker processes that read the views of untrusted videos.

A worker that hangs is ended, one that dies is replaced, and all are renewed after so many videos; the process that
serves requests never parses a video itself. What a worker may do is settled in ``sandbox``.
"""

import asyncio
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from service.contract.errors import DeadlineExceededError, DuoActError, UndecodableVideoError
from service.contract.views import VideoViews, ViewPlan, ViewRules
from service.decoding.sandbox import SandboxLimits, SandboxReport, enter_sandbox, limit_cpu, report_sandbox

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class DecodePool:
    """Workers that decode; start before the first request, close after the last.

    Args:
        rules: which frames of a video are read, how they are cropped, and what that may cost.
        num_workers: videos decoded at the same time.
        num_videos_per_worker: a worker is replaced after so many, so that nothing gathers in it.
        sandbox: what each worker may use.
    """

    def __init__(
        self,
        rules: ViewRules,
        *,
        num_workers: int = 2,
        num_videos_per_worker: int = 200,
        sandbox: SandboxLimits | None = None,
    ) -> None:
        self._rules = rules
        self._num_workers = num_workers
        self._num_videos_per_worker = num_videos_per_worker
        self._sandbox = sandbox or SandboxLimits()
        self._pool: ProcessPool | None = None

    def keep_alive(self) -> bool:
        """Fork the workers that are missing; whether the pool takes videos, which single workers do not change."""
        # Asking is what makes pebble replace its workers.
        return self._pool is not None and self._pool.active

    def start(self) -> None:
        """Start the workers; a pool that broke down is replaced.

        Workers are forked by a small server process, never by this one, whose threads and files they must not inherit.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([enter_sandbox.__module__, ViewRules.__module__])
        self._pool = ProcessPool(
            max_workers=self._num_workers,
            max_tasks=self._num_videos_per_worker,
            initializer=enter_sandbox,
            initargs=[self._sandbox],
            context=context,
        )
        self._pool.schedule(report_sandbox)  # pebble starts no worker before the first task

    def close(self) -> None:
        """End all workers, busy or not; closing twice is harmless."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
            self._pool = None

    async def report(self, *, timeout_seconds: float = 30.0) -> SandboxReport:
        """Ask a worker which guards hold; also a proof that workers start."""
        return await self._run(report_sandbox, timeout_seconds=timeout_seconds)

    async def read_views(self, path: Path, *, plan: ViewPlan, timeout_seconds: float) -> VideoViews:
        """Read the views of one video in a worker; cancelling the caller ends the work.

        Raises:
            UnsupportedVideoError, UndecodableVideoError, VideoTooLargeError: as ``contract.views.read_views``; a worker
                that dies on a video also makes it undecodable.
            DeadlineExceededError: the worker took longer than ``timeout_seconds``.
            FileNotFoundError: there is no file at ``path``.
        """
        task = partial(_read_views, path.absolute(), self._rules, plan, timeout_seconds)
        self._running_pool()  # a pool that was never started is the caller's fault, not the video's
        try:
            return await self._run(task, timeout_seconds=timeout_seconds)
        except (DuoActError, FileNotFoundError):
            raise
        except (TimeoutError, FutureTimeoutError) as error:
            raise DeadlineExceededError(
                f"decoding took longer than {timeout_seconds:g} seconds; send a shorter or smaller video"
            ) from error
        except (ProcessExpired, BrokenExecutor) as error:
            _log.warning("a decoding worker died: %s", error)
            raise UndecodableVideoError("the decoder died on this video; send an undamaged video") from error
        except Exception as error:
            # Parsing hostile bytes must never look like a failure of the service; the log keeps what happened.
            _log.exception("the decoder failed in an unforeseen way")
            raise UndecodableVideoError("the decoder failed on this video; send an undamaged video") from error

    async def _run(self, task: Callable[[], Result], *, timeout_seconds: float) -> Result:
        """Run a task in a worker; once more where the pool breaks down, as it does when an idle worker dies."""
        try:
            return await asyncio.wrap_future(self._running_pool().schedule(task, timeout=timeout_seconds))
        except BrokenExecutor:
            return await asyncio.wrap_future(self._running_pool().schedule(task, timeout=timeout_seconds))

    def _running_pool(self) -> ProcessPool:
        if self._pool is None:
            raise RuntimeError("the decode pool is not started; call start() first")
        if not self._pool.active:
            _log.error("the decode pool broke down and is started anew")
            self.close()
            self.start()
        return self._pool


def _read_views(  # pragma: no cover  (a worker has nowhere to write what was covered)
    path: Path, rules: ViewRules, plan: ViewPlan, timeout_seconds: float
) -> VideoViews:
    """Run in the worker; the path was chosen by the service, never by a client."""
    limit_cpu(timeout_seconds)
    return rules.read(path, plan=plan)
