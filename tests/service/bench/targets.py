"""A target that answers at once, and says how it was asked."""

import asyncio
from dataclasses import dataclass, field

from service.api.schemas import Answer, BundleOut, CacheOut, LabelCacheOut, VideoOut
from service.bench.plan import Advance
from service.bench.target import RequestError, Subject

VIDEO = VideoOut(
    video_id="0",
    duration_seconds=4.0,
    num_frames=40,
    width=320,
    height=240,
    codec="h264",
    frame_rate=10.0,
    rotation_degrees=0,
)
SUBJECT = Subject(bundle="tiny", digest="d" * 64, method="vanilla", backbone="none", label_set="shapes", num_labels=3)


@dataclass
class FakeTarget:
    """Answers with given stages; refuses the requests whose number, counted from 0, is among ``failing``."""

    stages_ms: dict[str, float] = field(default_factory=lambda: {"decode": 2.0, "encode": 1.0})
    failing: range = range(0)
    cache: str = "miss"
    subject: Subject = SUBJECT
    asked: list[bool] = field(default_factory=list)
    num_running: int = 0
    most_running: int = 0

    async def ask(self, *, is_new: bool) -> Answer:
        """Answer after a moment."""
        self.asked.append(is_new)
        number = len(self.asked) - 1
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        await asyncio.sleep(0.004)
        self.num_running -= 1
        if number in self.failing:
            raise RequestError(f"request {number} was refused")
        return Answer(
            request_id="0",
            bundle=BundleOut(name="tiny", digest="d" * 64),
            fusion=None,
            predictions=(),
            video=VIDEO,
            frames=(),
            cache=CacheOut(video=self.cache, labels=LabelCacheOut(hits=0, misses=0)),  # type: ignore[arg-type]
            timings_ms={**self.stages_ms, "total": sum(self.stages_ms.values())},
            warnings=(),
            degraded=False,
        )


@dataclass
class Announced:
    """Remembers what was announced, and counts the steps of each part."""

    totals: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    def __call__(self, name: str, total: int) -> Advance:
        """Begin a part."""
        self.totals[name] = total
        self.steps[name] = 0

        def advance() -> None:
            self.steps[name] += 1

        return advance
