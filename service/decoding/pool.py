"""A pool of sandboxed worker processes that read the views of untrusted videos.

The process that serves requests never parses a video itself, nor believes what a worker answers. A worker that is no
longer waited for is ended, one that dies is replaced, and all are renewed after so many videos. What a worker may do
is settled in ``sandbox``, how it answers in ``frames`` and ``answers``, how it lives in ``nursery`` and ``keeper``.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from service.contract.errors import (
    DeadlineExceededError,
    DecoderUnavailableError,
    UndecodableVideoError,
    VideoError,
)
from service.contract.views import VideoViews, ViewPlan, ViewRules
from service.decoding import worker as shipped_worker
from service.decoding.answers import Answer, Failure, read_answer
from service.decoding.crashes import Crashes
from service.decoding.frames import FrameError
from service.decoding.golden_clip import GOLDEN_CLIP, check_golden_views
from service.decoding.jobs import Job
from service.decoding.keeper import Keeper
from service.decoding.nursery import Upbringing
from service.decoding.requests import Request
from service.decoding.room import Room
from service.decoding.sandbox import SandboxLimits, SandboxReport
from service.decoding.workers import CAUSES, Cause, Worker, WorkerLostError

# A video is given to one worker more where somebody else ended the first, or where the fault may be that of a video
# which that one had read before.
_NUM_TRIES = 2
_FAULTS = ("crashed", "malformed")
# A socket closes a moment before its process has ended, on a busy machine a longer one.
_END_SECONDS = 1.0
# Far more than a small clip takes; those who check are less patient.
_CHECK_SECONDS = 60.0
_log = logging.getLogger(__name__)


class DecodePool:
    """Workers that decode; start before the first request, close after the last.

    Args:
        rules: which frames of a video are read, how they are cropped, and what that may cost.
        num_workers: videos decoded at the same time; one worker more stands by for one that ends.
        num_videos_per_worker: a worker is replaced after so many, so that nothing gathers in it.
        limits: what each worker may use.
        entry: the module whose ``work`` a worker runs.
    """

    def __init__(
        self,
        rules: ViewRules,
        *,
        num_workers: int = 2,
        num_videos_per_worker: int = 200,
        limits: SandboxLimits | None = None,
        entry: str = shipped_worker.__name__,
    ) -> None:
        self._rules = rules
        self._num_workers = num_workers
        self._num_videos_per_worker = num_videos_per_worker
        self._upbringing = Upbringing(rules, limits or SandboxLimits(), entry)
        self._crashes = Crashes()
        self._running: _Running | None = None
        self.deaths: dict[str, int] = dict.fromkeys(CAUSES, 0)

    @property
    def guards(self) -> SandboxReport | None:
        """Which guards hold in the workers; None where none run."""
        return None if self._running is None else self._running.guards

    def start(self) -> SandboxReport:
        """Start the workers, unless they run, and wait for the first; answers which guards hold in them.

        Raises:
            DecoderUnavailableError: no worker can be started; on other systems than Linux, none ever.
        """
        if self._running is not None:
            return self._running.guards
        if sys.platform != "linux":
            raise DecoderUnavailableError(f"videos are decoded on Linux alone; this is {sys.platform}")
        keeper = Keeper(self._upbringing, num_workers=self._num_workers + 1, deaths=self.deaths)
        guards = keeper.start()
        self._running = _Running(
            guards,
            keeper,
            {
                "decoding": ThreadPoolExecutor(self._num_workers, thread_name_prefix="decoding"),
                "checking": ThreadPoolExecutor(1, thread_name_prefix="checking"),
            },
        )
        return guards

    def close(self) -> None:
        """End all workers, busy or not; closing twice is harmless."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    async def check(self) -> None:
        """Read a clip of known frames with the worker that stands by, which no user's video keeps waiting.

        Raises:
            DecoderUnavailableError: there are no workers, or they read it wrongly.
            DeadlineExceededError: it took too long.
            VideoError: they refuse it.
        """
        request = Request(ViewPlan(), _CHECK_SECONDS)
        with GOLDEN_CLIP.open("rb") as file:
            views = await self._await_views(file.fileno(), GOLDEN_CLIP.name, request, thread="checking")
        check_golden_views(views)

    async def read_views(self, video: int, *, video_id: str, plan: ViewPlan, timeout_seconds: float) -> VideoViews:
        """Read the views of one video in a worker; cancelling the caller ends the work.

        Args:
            video: a descriptor that is open for reading; a worker gets it, and never a path.
            video_id: the digest of its bytes, by which a video that crashes the decoder is known again.
            plan: which views.
            timeout_seconds: how long that may take, waiting for a worker included.

        Raises:
            UnsupportedVideoError, UndecodableVideoError, VideoTooLargeError: as ``contract.views.read_views``; a video
                on which a worker crashes is undecodable too.
            DeadlineExceededError: it took longer than ``timeout_seconds``.
            DecoderUnavailableError: there are no workers, or somebody ended both that took the video.
        """
        self._crashes.refuse(video_id)
        return await self._await_views(video, video_id, Request(plan, timeout_seconds), thread="decoding")

    async def _await_views(
        self, video: int, video_id: str, request: Request, *, thread: Literal["decoding", "checking"]
    ) -> VideoViews:
        if self._running is None:
            raise RuntimeError("the decode pool is not started; call start() first")
        try:
            async with asyncio.timeout(request.limit_seconds):
                return await self._running.read(self._read, Job(video, video_id, request), thread=thread)
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"decoding took longer than {request.limit_seconds:g} seconds; send a shorter or smaller video, or try "
                "again when the service is less busy"
            ) from error
        except OSError as error:
            # Descriptors or memory of this process are used up, which is no fault of the video.
            raise DecoderUnavailableError(f"no video can be decoded now: {error.strerror}; try again later") from error

    def _read(self, job: Job, keeper: Keeper) -> VideoViews:
        """Have a video read, in a thread that waits for it."""
        with job.hold_video() as video:
            for _ in range(_NUM_TRIES):
                worker = keeper.take(is_abandoned=lambda: job.is_abandoned)
                answer = self._ask(worker, job, video=video)
                if not isinstance(answer, str):
                    self._let_go(worker, keeper)
                    return self._accept(answer, job)
                if answer in _FAULTS:
                    self._crashes.note(job.video_id)
                    if worker.num_videos == 1:
                        break  # no other video can have done it
                _log.warning("a decoding worker was lost over a video: %s", answer)
        if answer in _FAULTS:
            raise UndecodableVideoError("the decoder died on this video; send an undamaged video")
        raise DecoderUnavailableError("decoding workers were ended from outside while they read this video; try again")

    def _ask(self, worker: Worker, job: Job, *, video: int) -> Answer | Cause:
        """Have one worker read a video; no answer, or a wrong one, is the worker's end, whose cause is given then."""
        room = Room.of(self._rules, job.request.plan)
        try:
            with room.open() as descriptor:
                packet = job.ask(worker, (video, descriptor))
                return read_answer(packet, ticket=job.request.ticket, room=room, descriptor=descriptor)
        except WorkerLostError:
            cause = "abandoned" if job.is_abandoned else worker.wait_for_end(within_seconds=_END_SECONDS)
        except FrameError as error:
            # Sound code does not answer so: this video, or one before it, has taken the worker over.
            _log.error("a decoding worker was taken over: %s", error)
            cause = "malformed"
        except BaseException:
            # The gateway lacks memory or descriptors; the pool must not lack a worker too.
            worker.discard("abandoned")
            raise
        worker.discard(cause)
        return cause

    def _let_go(self, worker: Worker, keeper: Keeper) -> None:
        if worker.num_videos < self._num_videos_per_worker:
            keeper.give_back(worker)
        else:
            worker.discard("renewed")

    def _accept(self, answer: Answer, job: Job) -> VideoViews:
        self._crashes.forgive(job.video_id)
        if isinstance(answer, VideoError):
            raise answer
        if isinstance(answer, Failure):
            # Parsing hostile bytes must never look like a failure of the service; the log keeps what happened.
            _log.error("the decoder failed in an unforeseen way: %s", answer.message)
            raise UndecodableVideoError("the decoder failed on this video; send an undamaged video")
        return answer


@dataclass(frozen=True)
class _Running:
    """What runs between start and close."""

    guards: SandboxReport
    keeper: Keeper
    threads: Mapping[str, ThreadPoolExecutor]

    async def read(self, read: Callable[[Job, Keeper], VideoViews], job: Job, *, thread: str) -> VideoViews:
        """Have a thread do a job, and wait for it."""
        try:
            return await asyncio.wrap_future(self._submit(read, job, thread=thread))
        finally:
            job.abandon()
            self.keeper.wake()

    def _submit(self, read: Callable[[Job, Keeper], VideoViews], job: Job, *, thread: str) -> Future[VideoViews]:
        try:
            return self.threads[thread].submit(read, job, self.keeper)
        except RuntimeError as error:
            raise DecoderUnavailableError("decoding stops; try again later") from error

    def close(self) -> None:
        self.keeper.close()
        for threads in self.threads.values():
            threads.shutdown()
