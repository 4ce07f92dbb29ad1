"""The service's own parts in this process: what the HTTP routes ask, asked without them."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.api.schemas import Answer, LabelSetSummary, render_answer
from service.app import Parts, load_parts
from service.bench.target import RequestError, Subject, choose_label_set
from service.contract.errors import DuoActError
from service.contract.views import ViewPlan
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.questions import Question, StoredVideo
from service.settings import Settings


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Load a bundle, start its decoding workers and replay the canary; let go of everything at the end.

    Raises:
        BundleError: the bundle cannot be used.
        EncoderUnavailableError: the canary does not give the known answer.
    """
    parts = load_parts(settings)
    try:
        await asyncio.to_thread(parts.reader.start)
        await parts.label_banks.open()
        await parts.encoders.check()
        yield parts
    finally:
        await parts.close()


class LocalTarget:
    """A recogniser in this process; making one raises ``BenchError`` where the label set is not stored."""

    def __init__(self, parts: Parts, *, video: Path, views: ViewPlan, label_set: str | None) -> None:
        manifest = parts.answering.bundle.manifest
        stored = [LabelSetSummary.of(each) for each in parts.answering.label_sets.all()]
        chosen = choose_label_set(label_set, manifest=manifest, stored=stored)
        labels = (
            parts.answering.recognizer.classes or ()
            if chosen is None
            else parts.answering.label_sets.find(chosen.name).labels
        )
        self._parts = parts
        self._video = video
        self._question = Question(labels=labels, plan=views)
        self._numbers = itertools.count()
        self.subject = Subject.of(manifest, digest=parts.answering.bundle.digest, label_set=chosen)

    async def ask(self, *, is_new: bool) -> Answer:
        """Recognise the video; under a name of its own where it shall be new to the cache."""
        video_id = f"new {next(self._numbers)}" if is_new else "known"
        started_at = time.monotonic()
        stopwatch = Stopwatch(started_at=started_at)
        deadline = Deadline(started_at, self._parts.settings.deadline_seconds)
        try:
            with self._video.open("rb") as file:
                recognition = await self._parts.answering.recognizer.recognize(
                    StoredVideo(file.fileno(), video_id), self._question, deadline=deadline, stopwatch=stopwatch
                )
        except (OSError, DuoActError) as error:
            raise RequestError(f"no answer for {str(self._video)!r}: {error}") from error
        return render_answer(recognition, bundle=self._parts.answering.bundle, request_id="bench", stopwatch=stopwatch)
