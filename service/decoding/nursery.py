"""The process that forks decoding workers: it has loaded everything, holds no secret, and never sees a video.

It is started apart from the gateway, with an empty environment, so that a worker inherits no key, file or thread. On
its control socket it is handed the worker's end of a socket for each worker to fork, and reports births and deaths.
When the gateway goes, so does it, and its workers with it. Coverage is not measured here, as in ``sandbox``.
"""

import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import struct
import traceback
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import av
from pydantic import TypeAdapter

from service.contract.views import ViewRules
from service.decoding.frames import Frame, Kind
from service.decoding.sandbox import Sandbox, SandboxLimits, SandboxReport, forbid_dumps

# The socket stands where a program has its standard input.
CONTROL = 0
# What is reported of a worker: event, process, and how it ended, as `waitpid` says it.
NOTICE = struct.Struct("<iii")
REPORT = TypeAdapter(SandboxReport)
# The first use of these would look for files, which a worker cannot open.
_LATE_MODULES = ("numpy.ma", "PIL.ImageFile", "encodings.ascii", "encodings.latin_1")


class Event(IntEnum):
    """What is reported."""

    BORN = 1
    DIED = 2


@dataclass(frozen=True)
class Upbringing:
    """What makes a worker: the rules that it reads by, what it may use, and the module whose ``work`` it runs."""

    rules: ViewRules
    limits: SandboxLimits
    entry: str


UPBRINGING = TypeAdapter(Upbringing)


def main(upbringing: str) -> None:  # pragma: no cover
    """Fork workers until the gateway goes."""
    Nursery(UPBRINGING.validate_json(upbringing)).run()


class Nursery:  # pragma: no cover
    """Everything that workers share, loaded once.

    Raises:
        RuntimeError: a library has started a thread, after which forking is unsound.
    """

    def __init__(self, upbringing: Upbringing) -> None:
        self._upbringing = upbringing
        self._work = importlib.import_module(upbringing.entry).work
        _load_modules()
        self._sandbox = Sandbox(upbringing.limits)
        self._control = socket.socket(fileno=CONTROL)
        forbid_dumps()
        num_threads = len(list(Path("/proc/self/task").iterdir()))
        if num_threads != 1:
            raise RuntimeError(f"{num_threads} threads run where workers are forked; 1 is allowed")
        # What is here stays: collecting it would touch, and so copy, every page in each worker.
        gc.collect()
        gc.freeze()

    def run(self) -> None:
        """Serve the control socket."""
        bell, clapper = os.pipe()
        os.set_blocking(clapper, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(clapper, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        poll.register(CONTROL, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == bell:
                    os.read(bell, select.PIPE_BUF)
                    self._report_deaths()
                elif not self._fork():
                    return

    def _fork(self) -> bool:
        """Fork one worker around the socket that arrives; False where the gateway is gone."""
        packet, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if not packet:
            return False
        process = os.fork()
        if process == 0:
            self._live(*descriptors)
        os.close(*descriptors)
        # By this descriptor the gateway can only ever end this worker, not another that comes by the same number.
        handle = os.pidfd_open(process)
        socket.send_fds(self._control, [NOTICE.pack(Event.BORN, process, 0)], [handle])
        os.close(handle)
        return True

    def _live(self, descriptor: int) -> None:
        """Be a worker, to the end."""
        code = 1
        try:
            self._control.detach()
            channel, report = self._sandbox.enter(descriptor)
            os.write(channel.fileno(), Frame(Kind.READY, REPORT.dump_json(report)).pack())
            self._work(channel, self._upbringing.rules)
            code = 0
        except BaseException:
            traceback.print_exc()  # seen where the sandbox cannot be entered; later it leads nowhere
        finally:
            os._exit(code)

    def _report_deaths(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if process == 0:
                return
            if os.WIFSTOPPED(status):
                # It would keep its video until the deadline.
                os.kill(process, signal.SIGKILL)
            else:
                self._control.send(NOTICE.pack(Event.DIED, process, status))


def _load_modules() -> None:  # pragma: no cover
    names = [module.name for module in pkgutil.walk_packages(av.__path__, "av.")]
    for name in (*names, *_LATE_MODULES):
        if name not in ("av.__main__", "av.datasets"):
            importlib.import_module(name)
