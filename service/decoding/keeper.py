"""The one owner of the nursery and its workers: a thread that keeps so many of them ready, and sees each one end.

It is the only one that speaks with the nursery, and starts another when that dies. Nothing here runs on the event loop.
"""

import logging
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.contract.errors import DecoderUnavailableError
from service.decoding.frames import MAX_FRAME_BYTES, Frame
from service.decoding.nursery import NOTICE, REPORT, UPBRINGING, Event, Upbringing
from service.decoding.sandbox import SandboxReport
from service.decoding.workers import Cause, Worker

_START = "import sys; sys.path[:] = sys.argv[2:]; from service.decoding.nursery import main; main(sys.argv[1])"
# OpenBLAS would start a thread for each core, and forking with threads is unsound.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
# A nursery that starts has this long for its first worker on a busy machine.
_START_SECONDS = 60.0
# One that works forks in milliseconds: where nobody had a worker for so long, it does not.
_PATIENCE_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_MAX_STILLBORN = 3
_SHORT_SECONDS = 0.05
_log = logging.getLogger(__name__)


class _NurseryGoneError(Exception):
    """The nursery died, or no good comes of it any more."""


class Keeper:
    """Keeps workers ready; start once, close once.

    Args:
        upbringing: what makes a worker.
        num_workers: how many are alive at the same time.
        deaths: where ends of workers are counted, by cause.
    """

    def __init__(self, upbringing: Upbringing, *, num_workers: int, deaths: dict[str, int]) -> None:
        self._upbringing = upbringing
        self._num_workers = num_workers
        self._changed = threading.Condition()
        self._ready: deque[Worker] = deque()
        self._problem: str | None = None
        self._is_closed = False
        self._bell = os.eventfd(0)
        self._thread = threading.Thread(target=self._keep, name="decoding keeper", daemon=True)
        self._report: SandboxReport | None = None
        self._deaths = deaths

    @property
    def takes_videos(self) -> bool:
        """Whether workers can be had: at once, or when the nursery has started anew."""
        return not self._is_closed and self._problem is None

    def start(self) -> SandboxReport:
        """Start the nursery and wait for the first worker; answers which guards hold in it.

        Raises:
            DecoderUnavailableError: no worker comes.
        """
        self._thread.start()
        with self._changed:
            while not self._changed.wait_for(lambda: self._report or self._problem, _PATIENCE_SECONDS):
                self._ring()
        if self._report is None:
            self.close()
            raise DecoderUnavailableError(f"no video can be decoded: {self._problem}; the log says more")
        return self._report

    def take(self, *, is_abandoned: Callable[[], bool]) -> Worker:
        """Take a worker that is ready, or wait for one.

        Raises:
            DecoderUnavailableError: no worker can be made, or nobody waits for one any longer.
        """
        while True:
            with self._changed:
                while not self._changed.wait_for(
                    lambda: self._ready or not self.takes_videos or is_abandoned(), _PATIENCE_SECONDS
                ):
                    self._ring()
                if is_abandoned() or not self.takes_videos:
                    reason = self._problem or "decoding stops"
                    raise DecoderUnavailableError(f"no video can be decoded: {reason}; try again later")
                worker = self._ready.popleft()
            if worker.is_quiet:
                return worker
            # It is about to be noticed that it has ended; or it speaks unasked, which no sound worker does.
            worker.has_ended(within_seconds=_SHORT_SECONDS)
            worker.discard("malformed")

    def give_back(self, worker: Worker) -> None:
        """Return a worker that answered."""
        with self._changed:
            if not self._is_closed:
                # The one that worked last has its memory at hand.
                self._ready.appendleft(worker)
                self._changed.notify_all()
                return
        worker.discard("closed")

    def wake(self) -> None:
        """Let those who wait look whether they still do."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End everything, also workers that are busy."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._ring()
        self._thread.join()
        with self._changed:
            os.close(self._bell)
            self._bell = -1

    def _ring(self) -> None:
        """Tell the keeper that no worker comes, or that all is over."""
        with self._changed:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def _keep(self) -> None:
        num_failures = 0
        while not self._is_closed:
            brood = _Brood()
            try:
                with _open_nursery(self._upbringing) as control:
                    self._tend(brood, control)
            except Exception:
                # Whatever it is, the next nursery may do better.
                _log.exception("the nursery of decoding workers fails")
            num_failures = 0 if brood.was_of_use else num_failures + 1
            if num_failures > 1 and not self._is_closed:
                self._set_problem("no decoding worker can be started")
                _wait({self._bell}, seconds=_RETRY_SECONDS)

    def _set_problem(self, problem: str | None) -> None:
        with self._changed:
            self._problem = problem
            self._changed.notify_all()

    def _tend(self, brood: "_Brood", control: socket.socket) -> None:
        """Keep workers ready until the nursery is gone or the pool is closed."""
        try:
            while not self._is_closed:
                while brood.num_workers < self._num_workers:
                    brood.request_fork(control)
                self._look_after(brood, control)
        except _NurseryGoneError as error:
            if not self._is_closed:
                _log.error("the nursery of decoding workers is gone, another one is started: %s", error)
        finally:
            self._disband(brood)

    def _look_after(self, brood: "_Brood", control: socket.socket) -> None:
        """Wait for the next thing to happen, and deal with it."""
        happened = _wait({control.fileno(), self._bell, *brood.unready})
        if self._bell in happened:
            os.eventfd_read(self._bell)
            if brood.was_of_use or time.monotonic() - brood.started_at > _START_SECONDS:
                raise _NurseryGoneError("no worker comes of it")
        for channel in happened & brood.unready.keys():
            self._welcome(brood.unready.pop(channel), brood)
        if control.fileno() in happened:
            self._read_notice(brood, control)

    def _welcome(self, worker: Worker, brood: "_Brood") -> None:
        """Hear which guards hold in a new worker; only then may it have videos."""
        packet = b""
        with suppress(ConnectionResetError):
            packet = worker.channel.recv(MAX_FRAME_BYTES)
        if not packet:
            worker.discard("killed")
            brood.num_stillborn += 1
            if brood.num_stillborn >= _MAX_STILLBORN:
                raise _NurseryGoneError(f"{brood.num_stillborn} workers in a row ended before they were ready")
            return
        brood.num_stillborn = 0
        brood.was_of_use = True
        report = REPORT.validate_json(Frame.unpack(packet).text)
        if report.problems and report != self._report:
            _log.error("videos are decoded WITHOUT some guards: %s", "; ".join(report.problems))
        with self._changed:
            self._report = report
            self._problem = None
            self._ready.append(worker)
            self._changed.notify_all()

    def _read_notice(self, brood: "_Brood", control: socket.socket) -> None:
        try:
            packet, handles, _, _ = socket.recv_fds(control, NOTICE.size, 1)
        except ConnectionResetError as error:
            raise _NurseryGoneError("it died before it read all that was asked") from error
        if not packet:
            raise _NurseryGoneError("it died")
        event, process, status = NOTICE.unpack(packet)
        if event == Event.BORN:
            brood.add(process, handle=handles[0])
            return
        worker = brood.alive.pop(process)
        cause = self._count(worker, status)
        with self._changed:
            was_idle = worker in self._ready
            if was_idle:
                self._ready.remove(worker)
        if was_idle:
            worker.discard(cause)

    def _disband(self, brood: "_Brood") -> None:
        """End what is left of the workers of a nursery that is gone."""
        with self._changed:
            idle = list(self._ready)
            self._ready.clear()
        cause: Cause = "closed" if self._is_closed else "killed"
        for worker in (*idle, *brood.unready.values()):
            worker.discard(cause)
        for channel in brood.unborn:
            channel.close()
        for worker in brood.alive.values():
            # Busy ones are let go of by the threads that use them, which see their sockets close.
            worker.end(cause)
            self._count(worker, None)

    def _count(self, worker: Worker, status: int | None) -> Cause:
        cause = worker.note_end(status)
        self._deaths[cause] += 1
        if cause in ("crashed", "killed", "malformed"):
            _log.warning("decoding: %s (%s)", worker.describe_end(), cause)
        return cause


@dataclass
class _Brood:
    """The workers of one nursery: requested, forked, locked in; ``unready`` are found by their sockets."""

    unborn: deque[socket.socket] = field(default_factory=deque)
    unready: dict[int, Worker] = field(default_factory=dict)
    alive: dict[int, Worker] = field(default_factory=dict)
    num_stillborn: int = 0
    was_of_use: bool = False
    started_at: float = field(default_factory=time.monotonic)

    @property
    def num_workers(self) -> int:
        """Those that live, and those that are still to be forked."""
        return len(self.alive) + len(self.unborn)

    def request_fork(self, control: socket.socket) -> None:
        """Ask for one worker; the nursery answers in turn.

        Raises:
            _NurseryGoneError: nobody hears.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.unborn.append(ours)
        with theirs:
            try:
                socket.send_fds(control, [b"+"], [theirs.fileno()])
            except OSError as error:
                raise _NurseryGoneError(str(error)) from error

    def add(self, process: int, *, handle: int) -> None:
        """Take a new worker in; it is not ready yet."""
        worker = Worker(self.unborn.popleft(), process=process, handle=handle)
        self.alive[process] = worker
        self.unready[worker.channel.fileno()] = worker


@contextmanager
def _open_nursery(upbringing: Upbringing) -> Iterator[socket.socket]:
    """Start the process, and end it with all that it has forked."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            # Isolated from the user's own modules, but with the gateway's own search path.
            path = [str(Path(entry).absolute()) for entry in sys.path]
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, UPBRINGING.dump_json(upbringing).decode(), *path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                start_new_session=True,  # an interrupt from a keyboard is for the gateway
            )
        try:
            yield ours
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def _wait(descriptors: set[int], *, seconds: float | None = None) -> set[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)}
