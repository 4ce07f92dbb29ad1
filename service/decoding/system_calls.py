"""The system calls that a decoding worker may make: what reading a held video, decoding it and answering takes.

The lists were measured over every accepted container and codec, and the tests measure them anew. What is on neither
ends the worker, so that an attack is an event and not a quiet error.
"""

import errno
import mmap
from typing import Any

ALLOWED_CALLS = (
    *("read", "pread64", "lseek", "recvmsg", "write", "close"),
    *("brk", "munmap", "mremap", "futex"),
    *("rt_sigreturn", "rt_sigaction", "rt_sigprocmask", "restart_syscall"),
    *("clock_gettime", "gettimeofday", "getpid", "gettid", "exit", "exit_group"),
)
# Libraries ask for these and go on without an answer: a character set, the size of the machine, a file's times.
REFUSED_CALLS = (
    *("open", "openat", "stat", "lstat", "fstat", "newfstatat", "statx", "access", "readlink", "readlinkat"),
    *("getdents64", "ioctl", "fcntl", "uname", "sysinfo", "sched_getaffinity"),
)
# Allowed with some arguments only.
RESTRICTED_CALLS = ("mmap", "mprotect", "madvise", "prlimit64")
# MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE: what malloc and numpy advise.
_MEMORY_ADVICE = (4, 8, 14)


def build_filter() -> Any:  # noqa: ANN401 - the library has no types  # pragma: no cover
    """Build the filter, which one process prepares for all that it forks; its method ``load`` is for good.

    Raises:
        ImportError, RuntimeError: libseccomp is not installed, or refuses a rule.
        OSError: the kernel has no such filters.
    """
    import pyseccomp  # loads libseccomp, which not every machine has

    refuse = pyseccomp.ERRNO(errno.EPERM)
    system_calls = pyseccomp.SyscallFilter(pyseccomp.KILL_PROCESS)

    def add(action: int, name: str, *arguments: Any) -> None:  # noqa: ANN401
        # A machine without this call, such as `stat` on ARM, has nothing to settle.
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            system_calls.add_rule(action, name, *arguments)

    for name in ALLOWED_CALLS:
        add(pyseccomp.ALLOW, name)
    for name in REFUSED_CALLS:
        add(refuse, name)
    # No memory that is filled by the worker can be run.
    for name in ("mmap", "mprotect"):
        add(pyseccomp.ALLOW, name, pyseccomp.Arg(2, pyseccomp.MASKED_EQ, mmap.PROT_EXEC, 0))
    for advice in _MEMORY_ADVICE:
        add(pyseccomp.ALLOW, "madvise", pyseccomp.Arg(2, pyseccomp.EQ, advice))
    # Process 0 is the worker itself, which sets its limit of computing time.
    add(pyseccomp.ALLOW, "prlimit64", pyseccomp.Arg(0, pyseccomp.EQ, 0))
    add(refuse, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    return system_calls
