"""A decoding worker as the gateway holds it: a socket to ask on, a handle to end it by, and how it came to its end."""

import os
import select
import signal
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Literal

from service.decoding.frames import MAX_FRAME_BYTES

# Why a worker ended: `crashed` on its own, at the bytes it read; `killed` by somebody else; `malformed` for what it
# answered, `abandoned` because nobody waits for its answer, `renewed` in its turn, `closed` with the pool.
Cause = Literal["crashed", "killed", "malformed", "abandoned", "renewed", "closed"]
CAUSES: tuple[Cause, ...] = ("crashed", "killed", "malformed", "abandoned", "renewed", "closed")
# No decoder raises these against itself, and the filter lets none raise anything against another.
_SIGNALS_OF_OTHERS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
# The notice of an end comes through another process.
_NOTICE_SECONDS = 2.0


class WorkerLostError(Exception):
    """A worker ended, or closed its socket, instead of answering."""


class Worker:
    """One worker; used by one thread at a time, but ended by any.

    Args:
        channel: the gateway's end of its socket.
        process: its number, for the log.
        handle: a descriptor of the process (`pidfd`), which stays its own after it has ended.
    """

    def __init__(self, channel: socket.socket, *, process: int, handle: int) -> None:
        self.channel = channel
        self.process = process
        self.num_videos = 0
        self._handle = handle
        self._lock = threading.Lock()
        self._is_open = True
        self._cause: Cause | None = None
        self._status: Future[int | None] = Future()

    def ask(self, request: bytes, descriptors: Sequence[int]) -> bytes:
        """Hand over a request with open descriptors, and wait for one packet.

        Raises:
            WorkerLostError: none comes.
        """
        self.num_videos += 1
        try:
            socket.send_fds(self.channel, [request], descriptors)
            # Descriptors that a worker might send along are not received: the kernel closes them.
            packet = self.channel.recv(MAX_FRAME_BYTES + 1)
        except OSError as error:
            raise WorkerLostError(str(error)) from error
        if not packet:
            raise WorkerLostError("its socket is closed")
        return packet

    @property
    def is_quiet(self) -> bool:
        """Whether it has said nothing since its last answer, and still holds its socket."""
        return not _is_readable(self.channel.fileno(), seconds=0.0)

    def has_ended(self, *, within_seconds: float) -> bool:
        """Whether the process has ended, or does so soon: its socket closes a moment before."""
        return _is_readable(self._handle, seconds=within_seconds)

    def end(self, cause: Cause) -> None:
        """End the process, whatever it does; the cause counts where none ended it before."""
        with self._lock:
            if self._is_open and self._cause is None and not self.has_ended(within_seconds=0.0):
                self._cause = cause
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def discard(self, cause: Cause) -> None:
        """End the process and let go of it; for the thread that uses it."""
        self.end(cause)
        with self._lock:
            if self._is_open:
                self._is_open = False
                self.channel.close()
                os.close(self._handle)

    def note_end(self, status: int | None) -> Cause:
        """Note how the process ended, as `waitpid` says it, or None where nobody saw it; answers why it did."""
        self._status.set_result(status)
        return self._cause or _read_cause(status)

    def wait_for_end(self, *, within_seconds: float) -> Cause:
        """Say why a worker ended whose socket is closed; one that lives on has closed it itself."""
        if not self.has_ended(within_seconds=within_seconds):
            return "malformed"
        try:
            return _read_cause(self._status.result(_NOTICE_SECONDS))
        except FutureTimeoutError:
            return "killed"

    def describe_end(self) -> str:
        """Say how the process ended, for the log."""
        status = self._status.result() if self._status.done() else None
        if status is None:
            return f"worker {self.process} is gone"
        if os.WIFSIGNALED(status):
            return f"worker {self.process} ended by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"worker {self.process} ended with code {os.waitstatus_to_exitcode(status)}"


def _is_readable(descriptor: int, *, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _read_cause(status: int | None) -> Cause:
    is_by_others = status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _SIGNALS_OF_OTHERS)
    return "killed" if is_by_others else "crashed"
