"""What a decoding worker gives up before its first task: memory, files, sockets, children and running programs.

A video decoder is a large parser written in C. Whoever takes it over through a crafted file finds a process that can
read files and answer its parent, and nothing else. The pool of such processes lives in ``pool``. Coverage is not
measured here: a worker has nowhere to write it.
"""

import ctypes
import errno
import logging
import os
import resource
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38

# What Python, numpy and FFmpeg use once they are loaded. Opening files has a rule of its own below.
ALLOWED_CALLS = (
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "membarrier", "mincore"),
    *(
        "read",
        "readv",
        "pread64",
        "preadv",
        "lseek",
        "write",
        "writev",
        "close",
        "close_range",
        "dup",
        "fcntl",
        "ioctl",
    ),
    *("poll", "ppoll", "select", "pselect6", "pipe2", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait"),
    *("stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    *("getdents64", "getcwd", "statfs", "fstatfs", "uname", "sysinfo", "fadvise64"),
    *("futex", "futex_waitv", "sched_yield", "sched_getaffinity", "set_robust_list", "rseq", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigaltstack", "tgkill"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times"),
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getcpu", "getrandom"),
    *("getrlimit", "setrlimit", "prlimit64", "getrusage", "exit", "exit_group"),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SandboxLimits:
    """What a worker may use; ``memory_bytes`` comes on top of what it occupies when it starts."""

    memory_bytes: int = 1024**3
    num_open_files: int = 64
    filters_system_calls: bool = True


@dataclass(frozen=True)
class SandboxReport:
    """Which of the kernel's guards hold in a worker."""

    filters_system_calls: bool
    forbids_new_privileges: bool


def enter_sandbox(limits: SandboxLimits) -> None:  # pragma: no cover
    """Give up everything that decoding does not need; to be called once, in a worker, before its first task.

    Where the kernel or libseccomp is missing, the worker runs on with the other guards and logs an error that says so.
    """
    # The default action ends a worker at once, even inside a long call of the decoder.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir("/")
    _limit_resources(limits)
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((PR_SET_PDEATHSIG, int(signal.SIGKILL)), (PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            _log.error("prctl option %d is refused: %s", option, os.strerror(ctypes.get_errno()))
    if limits.filters_system_calls:
        try:
            filter_system_calls(ALLOWED_CALLS)
        except (ImportError, RuntimeError, OSError) as error:
            _log.error("videos are decoded WITHOUT a system call filter: %s; install libseccomp", error)


def limit_cpu(seconds: float) -> None:  # pragma: no cover
    """Let the kernel end this process after so many further seconds of computing, should nobody else do it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(usage.ru_utime + usage.ru_stime + seconds) + 1, hard))


def report_sandbox() -> SandboxReport:  # pragma: no cover
    """Ask the kernel which guards hold for this process."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return SandboxReport(
        filters_system_calls=status.get("Seccomp") == "2", forbids_new_privileges=status.get("NoNewPrivs") == "1"
    )


def filter_system_calls(allowed: Iterable[str]) -> None:  # pragma: no cover
    """Refuse every system call but the allowed ones and opening a file for reading.

    A refused call answers ``ENOSYS``, so that the C library falls back as on an old kernel instead of dying.

    Raises:
        ImportError: libseccomp is not installed.
        RuntimeError: the kernel has no system call filters.
    """
    import pyseccomp  # loads libseccomp, which not every machine has

    system_calls = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    for name in allowed:
        # A machine without this call, such as `stat` on ARM, has nothing to allow.
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            system_calls.add_rule(pyseccomp.ALLOW, name)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    for name, flags_position in (("openat", 2), ("open", 1)):
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            reads_only = pyseccomp.Arg(flags_position, pyseccomp.MASKED_EQ, writing, 0)
            system_calls.add_rule(pyseccomp.ALLOW, name, reads_only)
    system_calls.load()


def _limit_resources(limits: SandboxLimits) -> None:  # pragma: no cover
    num_pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory_bytes = num_pages * resource.getpagesize() + limits.memory_bytes
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, limits.num_open_files),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
