"""What users and operators see while processes of a service are killed under load.

``python -m tests.end_to_end.kills --rounds 20`` serves the demo bundle, asks it about new videos from several clients
at once, kills one kind of process after another and prints, as JSON, what was lost, how long right answers stayed away,
and whether ``/readyz`` told the truth. A miniature of it is in ``test_kills``.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.server import DEMO, free_port, start_server
from tests.service.decoding.processes import children_of, read_status
from tests.videos import Encoding, as_another_file, write_numbered_video

NUM_CLIENTS = 4
# Between two kills, so that each meets a service that works.
_PAUSE_SECONDS = 0.5
_LIMIT_SECONDS = 60.0
LABEL_SET = "motion_shapes"


@dataclass(frozen=True)
class Outcome:
    """One request: when it began and ended, its status (0 without an answer), and whether the answer is right."""

    began_at: float
    ended_at: float
    status: int
    is_right: bool


@dataclass(frozen=True)
class Poll:
    """What ``/readyz`` said at a time; 0 without an answer."""

    at: float
    status: int


@dataclass
class Findings:
    """What one kind of kill did."""

    num_kills: int = 0
    num_requests: int = 0
    num_lost: int = 0
    num_wrong: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    recovery_seconds: list[float] = field(default_factory=list)
    num_polls: int = 0
    num_untrue: int = 0


class Service:
    """A served demo bundle that is started anew where its gateway is gone."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "log"
        self._port = free_port()
        self._settings = {"DUOACT_CACHE_DIR": str(directory / "cache"), "DUOACT_UPLOAD_DIR": str(directory)}
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start the gateway and wait until it is ready."""
        self.gateway = start_server(DEMO, port=self._port, log=self._log, settings=self._settings)
        wait_until(lambda: ask_ready(self.url) == 200)

    @property
    def nurseries(self) -> list[int]:
        """Processes that fork workers."""
        return children_of(self.gateway.pid)

    @property
    def workers(self) -> list[int]:
        """Processes that decode."""
        return [worker for nursery in self.nurseries for worker in children_of(nursery)]

    def close(self) -> None:
        """Stop everything."""
        self.gateway.terminate()
        self.gateway.wait(timeout=_LIMIT_SECONDS)


class Load:
    """Clients that ask about a video which is new each time, and somebody who asks for readiness."""

    def __init__(self, url: str, video: bytes) -> None:
        self._url = url
        self._video = video
        self._numbers = itertools.count()
        self._is_over = threading.Event()
        self.expected: list[Any] = self._rank(self._ask())
        self.outcomes: list[Outcome] = []
        self.polls: list[Poll] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask for as long as the block runs, and wait for the last answers."""
        self._is_over.clear()
        with ThreadPoolExecutor(NUM_CLIENTS + 1) as threads:
            tasks = [threads.submit(self._keep_asking) for _ in range(NUM_CLIENTS)]
            tasks.append(threads.submit(self._keep_polling))
            try:
                yield
            finally:
                self._is_over.set()
                for task in tasks:
                    task.result()

    def last_right_after(self, moment: float) -> float | None:
        """When the first right answer came to a question that was asked after a moment."""
        ends = [each.ended_at for each in list(self.outcomes) if each.began_at >= moment and each.is_right]
        return min(ends, default=None)

    def _keep_asking(self) -> None:
        while not self._is_over.is_set():
            began_at = time.monotonic()
            try:
                response = self._ask()
            except httpx.TransportError:
                self.outcomes.append(Outcome(began_at, time.monotonic(), 0, is_right=False))
                time.sleep(0.05)
                continue
            is_right = response.status_code == 200 and self._rank(response) == self.expected
            self.outcomes.append(Outcome(began_at, time.monotonic(), response.status_code, is_right))

    def _keep_polling(self) -> None:
        while not self._is_over.is_set():
            self.polls.append(Poll(time.monotonic(), ask_ready(self._url)))
            time.sleep(0.2)

    def _ask(self) -> httpx.Response:
        content = as_another_file(self._video, mark=f"{next(self._numbers)}-{random.random()}")
        fields = {"label_set": LABEL_SET, "top_k": "3"}
        return httpx.post(f"{self._url}/recognize", files={"video": content}, data=fields, timeout=_LIMIT_SECONDS)

    @staticmethod
    def _rank(response: httpx.Response) -> list[Any]:
        return [(each["label"]["en"], round(each["score"], 4)) for each in response.json()["predictions"]]


def kill_worker(service: Service) -> None:
    """Kill any worker."""
    os.kill(random.choice(service.workers), signal.SIGKILL)


def kill_busy_worker(service: Service) -> None:
    """Kill a worker that reads a video, at any moment until after it has answered."""
    limit = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < limit:
        if busy := [each for each in service.workers if read_status(each).get("State", "").startswith("R")]:
            time.sleep(random.uniform(0.0, 0.02))
            os.kill(busy[0], signal.SIGKILL)
            return


def stop_worker(service: Service) -> None:
    """Stop a worker where it stands."""
    os.kill(random.choice(service.workers), signal.SIGSTOP)


def kill_nursery(service: Service) -> None:
    """Kill the process that forks workers."""
    os.kill(random.choice(service.nurseries), signal.SIGKILL)


def kill_gateway(service: Service) -> None:
    """Kill the service itself, as somebody does who then starts it again; its other processes must go with it."""
    orphans = [*service.nurseries, *service.workers]
    service.gateway.kill()
    service.gateway.wait()
    wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in orphans))
    service.start()


KILLS: dict[str, Callable[[Service], None]] = {
    "a worker": kill_worker,
    "a worker that reads or answers": kill_busy_worker,
    "a worker, stopped": stop_worker,
    "the process that forks workers": kill_nursery,
    "the gateway": kill_gateway,
}


def observe(service: Service, load: Load, *, kind: str, rounds: int) -> Findings:
    """Kill again and again under load, and count what users saw."""
    findings = Findings()
    num_before, num_polls_before = len(load.outcomes), len(load.polls)
    downtimes: list[tuple[float, float]] = []
    with load.running():
        for _ in range(rounds):
            time.sleep(_PAUSE_SECONDS)
            killed_at = time.monotonic()
            with suppress(ProcessLookupError, IndexError):
                KILLS[kind](service)
                findings.num_kills += 1
            wait_until(lambda: load.last_right_after(killed_at) is not None)  # noqa: B023 - called at once
            recovered_at = load.last_right_after(killed_at) or 0.0
            findings.recovery_seconds.append(round(recovered_at - killed_at, 3))
            downtimes.append((killed_at, recovered_at))
    outcomes, polls = load.outcomes[num_before:], load.polls[num_polls_before:]
    findings.num_requests = len(outcomes)
    for outcome in outcomes:
        findings.statuses[outcome.status] = findings.statuses.get(outcome.status, 0) + 1
    # Whoever kills the gateway loses what it holds; no other kill may lose anything.
    findings.num_lost = 0 if kind == "the gateway" else findings.statuses.get(0, 0)
    findings.num_wrong = sum(each.status == 200 and not each.is_right for each in outcomes)
    findings.num_polls = len(polls)
    findings.num_untrue = sum(_is_untrue(poll, outcomes=outcomes, downtimes=downtimes) for poll in polls)
    return findings


def _is_untrue(poll: Poll, *, outcomes: list[Outcome], downtimes: list[tuple[float, float]]) -> bool:
    """Whether readiness said what users did not see.

    "Ready" is untrue where a question that was asked in the second after it got no right answer, "not ready" where
    every question around it did.
    """
    after = [each for each in outcomes if poll.at <= each.began_at <= poll.at + 1.0]
    around = [each for each in outcomes if each.began_at <= poll.at <= each.ended_at]
    if poll.status == 200:
        killed_just_now = any(began <= poll.at + 1.0 and poll.at <= ended for began, ended in downtimes)
        return bool(after) and not any(each.is_right for each in after) and not killed_just_now
    return bool(around) and all(each.is_right for each in around)


def ask_ready(url: str) -> int:
    """Ask for readiness; 0 without an answer."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5.0).status_code
    except httpx.TransportError:
        return 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not come about.
    """
    limit = time.monotonic() + _LIMIT_SECONDS
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"it did not come about within {_LIMIT_SECONDS:g} s")
        time.sleep(0.01)


def run(directory: Path, *, rounds: int) -> dict[str, dict[str, Any]]:
    """Serve, load, kill, count; by kind of kill."""
    video = write_numbered_video(
        directory / "clip.mp4", num_frames=100, encoding=Encoding(size=(320, 240))
    ).read_bytes()
    service = Service(directory)
    try:
        load = Load(service.url, video)
        return {kind: asdict(observe(service, load, kind=kind, rounds=rounds)) for kind in KILLS}
    finally:
        service.close()


def main() -> None:
    """Read arguments and print the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="kills of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        findings = run(Path(directory), rounds=arguments.rounds)
    sys.stdout.write(json.dumps(findings, indent=2) + "\n")


if __name__ == "__main__":
    main()
