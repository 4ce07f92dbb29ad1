"""What a decoding worker gives up before its first video: files, sockets, memory, other processes, running programs.

A video decoder is a large parser written in C. Whoever takes it over through a crafted file finds a process that can
read one open video, fill one room and answer, and nothing else. Coverage is not measured here: a worker has nowhere to
write it.
"""

import ctypes
import os
import resource
import signal
import socket
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from service.decoding.landlock import restrict_self
from service.decoding.system_calls import build_filter

# The user and group that own nothing.
NOBODY = 65534
# Where the worker keeps the one descriptor that it needs, beside three that lead nowhere.
CHANNEL = 3
_PR_SET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 3, 4, 38
_NUM_OPEN_FILES = 16


@dataclass(frozen=True)
class SandboxLimits:
    """What a worker may use; ``memory_bytes`` comes on top of what it occupies when it starts."""

    memory_bytes: int = 1024**3


@dataclass(frozen=True)
class SandboxReport:
    """Which of the kernel's guards hold in a worker.

    Attributes:
        filters_system_calls: a call that decoding does not need ends the worker.
        landlock_version: of the kernel's Landlock, by which the worker opens nothing; 0 where it has none.
        forbids_new_privileges: no program could give it more.
        forbids_dumps: others of its user cannot look into its memory.
        runs_as_nobody: it has another user than the gateway, who owns nothing.
        problems: why a guard does not hold, in sentences; only root is expected to change its user.
    """

    filters_system_calls: bool
    landlock_version: int
    forbids_new_privileges: bool
    forbids_dumps: bool
    runs_as_nobody: bool
    problems: tuple[str, ...]


def forbid_dumps() -> None:  # pragma: no cover
    """Close this process's memory, environment and descriptors to others of its user; no core dumps, no debuggers.

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


class Sandbox:  # pragma: no cover
    """What a worker enters, prepared once for all that are forked, because libraries are loaded for it."""

    def __init__(self, limits: SandboxLimits) -> None:
        self._limits = limits
        self._problems: list[str] = []
        self._filter: Any = None
        self._forbids_dumps = False
        try:
            self._filter = build_filter()
        except (ImportError, RuntimeError, OSError) as error:
            self._problems.append(f"no filter of system calls: {error}; install libseccomp")

    def enter(self, descriptor: int) -> tuple[socket.socket, SandboxReport]:
        """Give up everything that decoding does not need but one socket, which is answered; only once.

        A guard that the machine lacks is left out, and the report says so.

        Raises:
            OSError: the kernel refuses what every kernel has.
        """
        parent = os.getppid()
        _reset_signals()
        # A service that runs in real time must not share that: a worker that computes for ever would stop the machine.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.chdir("/")
        _limit_resources(self._limits)
        os.setsid()
        self._become_nobody()
        # The kernel takes back what was said of death and dumps when the user changes, so these come after it.
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)  # it died before it could be watched
        forbid_dumps()
        self._forbids_dumps = _prctl(_PR_GET_DUMPABLE, 0) == 0
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _keep_only(descriptor)
        channel = socket.socket(fileno=CHANNEL)
        status = os.open("/proc/self/status", os.O_RDONLY)
        landlock_version = self._restrict_files()
        self._filter_system_calls()
        report = self._report(os.pread(status, 1 << 16, 0).decode(), landlock_version)
        os.close(status)
        return channel, report

    def _become_nobody(self) -> None:
        if os.geteuid() != 0:
            return
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError as error:
            self._problems.append(f"workers run as root: {error}; allow root to change its user, or start as another")

    def _restrict_files(self) -> int:
        try:
            return restrict_self()
        except OSError as error:
            self._problems.append(f"no Landlock: {error.strerror}; use Linux 5.13 or later with Landlock switched on")
            return 0

    def _filter_system_calls(self) -> None:
        if self._filter is not None:
            try:
                self._filter.load()
            except OSError as error:
                self._problems.append(f"no filter of system calls: {error}; use a kernel that has seccomp")

    def _report(self, status: str, landlock_version: int) -> SandboxReport:
        """Say what the kernel says."""
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        return SandboxReport(
            filters_system_calls=said.get("Seccomp") == "2",
            landlock_version=landlock_version,
            forbids_new_privileges=said.get("NoNewPrivs") == "1",
            forbids_dumps=self._forbids_dumps,
            runs_as_nobody=set(said.get("Uid", "").split()) == {str(NOBODY)},
            problems=tuple(self._problems),
        )


def limit_cpu(seconds: float) -> None:  # pragma: no cover
    """Let the kernel end this process after so many further seconds of computing, should nobody else do it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(time.process_time() + seconds) + 1, hard))


def _reset_signals() -> None:  # pragma: no cover
    # The default action ends a worker at once, even inside a long call of the decoder; an interrupt from a keyboard is
    # for the gateway, which then finishes what it has begun.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _limit_resources(limits: SandboxLimits) -> None:  # pragma: no cover
    num_pages = int(Path("/proc/self/statm").read_text().split()[0])
    for kind, value in (
        (resource.RLIMIT_AS, num_pages * resource.getpagesize() + limits.memory_bytes),
        # Nothing can be opened for writing; this is for the room that the gateway makes, which is sealed besides.
        (resource.RLIMIT_FSIZE, limits.memory_bytes),
        (resource.RLIMIT_NOFILE, _NUM_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _keep_only(descriptor: int) -> None:  # pragma: no cover
    """Move one descriptor to ``CHANNEL`` and close all others; what is written to the usual three is lost."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    kept = os.dup(descriptor)
    for standard in range(CHANNEL):
        os.dup2(nowhere, standard)
    os.dup2(kept, CHANNEL)
    os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))


def _prctl(option: int, value: int) -> int:  # pragma: no cover
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.prctl(option, value, 0, 0, 0))
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl option {option} is refused: {os.strerror(error)}")
    return answer
