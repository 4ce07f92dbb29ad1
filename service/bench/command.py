"""`duoact bench` below the command line: the video, the progress bars, and a place where nothing is kept."""

import asyncio
import tempfile
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.bench.measure import measure_here, measure_there
from service.bench.plan import Advance, BenchPlan
from service.bench.report import Report
from service.bench.video import make_test_video
from service.settings import Settings

# Rarely drawn bars take no time from what is measured.
_REFRESHES_PER_SECOND = 2


def run_bench(
    plan: BenchPlan, *, settings: Settings, url: str | None, video: Path | None, label_set: str | None, console: Console
) -> Report:
    """Measure a service in this process, or the one behind a URL, with bars on a console.

    Nothing is read from the cache directory of the settings, and nothing is written there.

    Raises:
        BenchError: the video, the label set or the service cannot be used, or there are too few labels.
        BundleError: the bundle cannot be used.
        EncoderUnavailableError: the engine does not answer, or answers wrongly.
    """
    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="duoact-bench-") as directory,
        Progress(*columns, console=console, refresh_per_second=_REFRESHES_PER_SECOND) as progress,
    ):

        def announce(name: str, total: int) -> Advance:
            return partial(progress.advance, progress.add_task(name, total=total))

        own = settings.model_copy(update={"cache_dir": Path(directory) / "cache"})
        shown = make_test_video(Path(directory) / "test.mp4") if video is None else video
        measure = measure_here if url is None else partial(measure_there, url)
        return asyncio.run(measure(own, plan=plan, video=shown, label_set=label_set, announce=announce))
