import errno
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.decoding.sandbox import (
    ALLOWED_CALLS,
    SandboxLimits,
    SandboxReport,
    enter_sandbox,
    filter_system_calls,
    limit_cpu,
    report_sandbox,
)


def open_worker(limits: SandboxLimits | None = None) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=get_context("forkserver"), initializer=enter_sandbox, initargs=(limits or SandboxLimits(),)
    )


@pytest.fixture(scope="module")
def worker() -> Iterator[ProcessPoolExecutor]:
    with open_worker() as executor:
        yield executor


def test_the_kernel_confirms_the_guards(worker: ProcessPoolExecutor) -> None:
    assert worker.submit(report_sandbox).result() == SandboxReport(
        filters_system_calls=True, forbids_new_privileges=True
    )


def test_without_the_filter_the_report_says_so() -> None:
    with open_worker(SandboxLimits(filters_system_calls=False)) as executor:
        assert executor.submit(report_sandbox).result() == SandboxReport(
            filters_system_calls=False, forbids_new_privileges=True
        )


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (socket.socket, (socket.AF_INET,)),
        (socket.socket, (socket.AF_UNIX,)),
        (os.fork, ()),
        (os.execv, ("/bin/true", ["true"])),
        (os.kill, (1, 0)),
        (os.mkdir, ("/tmp/sandbox-escape",)),
        (os.unlink, ("/tmp/sandbox-escape",)),
        (os.chmod, ("/tmp", 0o777)),
        (os.memfd_create, ("escape",)),
    ],
)
def test_a_worker_cannot_leave_the_sandbox(
    worker: ProcessPoolExecutor, task: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011  the errno is what is checked
        worker.submit(task, *arguments).result()
    assert caught.value.errno == errno.ENOSYS


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_RDONLY | os.O_TRUNC, os.O_APPEND])
def test_a_worker_opens_files_for_reading_only(worker: ProcessPoolExecutor, tmp_path: Path, flags: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with pytest.raises(OSError, match="Function not implemented"):
        worker.submit(os.open, str(path), flags).result()
    assert worker.submit(path.read_bytes).result() == b"content"


def test_a_worker_has_little_memory(worker: ProcessPoolExecutor) -> None:
    with pytest.raises(MemoryError):
        worker.submit(np.zeros, (2, 2**30), np.uint8).result()


def test_a_worker_has_its_resources_bounded(worker: ProcessPoolExecutor) -> None:
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)
    limits = [worker.submit(resource.getrlimit, kind).result() for kind in kinds]
    assert limits == [(64, 64), (0, 0), (0, 0)]
    assert worker.submit(os.getcwd).result() == "/"
    assert worker.submit(signal.getsignal, signal.SIGTERM).result() == signal.SIG_DFL


def spin_with_little_time() -> None:
    limit_cpu(0.1)
    while True:
        time.process_time()


def test_a_worker_that_computes_too_long_is_ended() -> None:
    with open_worker() as executor, pytest.raises(BrokenProcessPool):
        executor.submit(spin_with_little_time).result(timeout=20)


def test_a_system_call_that_this_machine_lacks_is_passed_over() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as executor:
        executor.submit(filter_system_calls, (*ALLOWED_CALLS, "no_such_call")).result(timeout=20)
        assert executor.submit(report_sandbox).result().filters_system_calls
