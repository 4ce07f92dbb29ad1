"""One run from beginning to end: what is measured, in this process or behind a URL, and in which order."""

from pathlib import Path

from service.app import Parts
from service.bench.encode import EncodeCost, measure_encoder
from service.bench.environment import describe_machine
from service.bench.labels import LabelCost, draw_labels, measure_labels
from service.bench.load import measure_latencies, measure_throughput
from service.bench.local import LocalTarget, open_parts
from service.bench.memory import read_service_memory
from service.bench.plan import Announce, BenchError, BenchPlan
from service.bench.remote import RemoteTarget, open_client
from service.bench.report import Report
from service.bench.start import measure_start
from service.contract.labels import Label
from service.settings import Settings


async def measure_here(
    settings: Settings, *, plan: BenchPlan, video: Path, label_set: str | None, announce: Announce
) -> Report:
    """Measure the service's own parts in this process, then the start of a service in another.

    Raises:
        BenchError: the video or the label set cannot be used, there are too few labels, or no service starts.
        BundleError: the bundle cannot be used.
        EncoderUnavailableError: the engine does not answer, or answers wrongly.
    """
    environment = describe_machine(settings)
    read_video(video)
    async with open_parts(settings) as parts:
        target = LocalTarget(parts, video=video, views=plan.views, label_set=label_set)
        labels = (
            ()
            if parts.answering.recognizer.classes
            else draw_labels(parts.answering.label_sets, num_labels=plan.num_labels)
        )
        latencies = await measure_latencies(target, plan=plan, announce=announce)
        throughput = await measure_throughput(target, plan=plan, announce=announce)
        # Before larger batches and more labels than requests bring.
        memory = read_service_memory()
        encode = await _measure_encoder(parts, plan=plan, announce=announce)
        label_costs = await _measure_labels(parts, labels=labels, plan=plan, announce=announce)
    start = measure_start(settings, advance=announce("start", 2))
    return Report(
        environment=environment,
        plan=plan,
        subject=target.subject,
        latencies=latencies,
        throughput=throughput,
        start=start,
        encode=encode,
        labels=label_costs,
        memory=memory,
    )


async def measure_there(
    url: str, settings: Settings, *, plan: BenchPlan, video: Path, label_set: str | None, announce: Announce
) -> Report:
    """Measure a running service from outside.

    Raises:
        BenchError: the service does not answer or is not ready, or the video or the label set cannot be used.
    """
    environment = describe_machine(None)
    content = read_video(video)
    async with open_client(url, settings=settings) as client:
        target = await RemoteTarget.connect(client, content=content, views=plan.views, label_set=label_set)
        latencies = await measure_latencies(target, plan=plan, announce=announce)
        throughput = await measure_throughput(target, plan=plan, announce=announce)
    return Report(
        environment=environment, plan=plan, subject=target.subject, latencies=latencies, throughput=throughput
    )


def read_video(path: Path) -> bytes:
    """Read the bytes of a video.

    Raises:
        BenchError: there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"--video is {str(path)!r}, which cannot be read: {error.strerror}") from error


async def _measure_encoder(parts: Parts, *, plan: BenchPlan, announce: Announce) -> tuple[EncodeCost, ...]:
    return await measure_encoder(
        parts.encoders.video,
        manifest=parts.answering.bundle.manifest,
        batch_sizes=plan.batch_sizes,
        num_rounds=plan.num_rounds,
        advance=announce("encoder", len(plan.batch_sizes) * (1 + plan.num_rounds)),
    )


async def _measure_labels(
    parts: Parts, *, labels: tuple[Label, ...], plan: BenchPlan, announce: Announce
) -> tuple[LabelCost, ...]:
    if not labels:
        return ()
    num_languages = 1 if parts.encoders.chinese is None else 2
    advance = announce("labels", num_languages * (1 + plan.num_rounds))
    return await measure_labels(parts, labels=labels, num_rounds=plan.num_rounds, advance=advance)
