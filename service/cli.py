"""The command `duoact`: reads arguments, calls the service's parts, prints; what they do lives elsewhere."""

import asyncio
import hashlib
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.api.schemas import Answer, render_answer, render_json
from service.app import Parts, build_app, load_parts
from service.bench.plan import BenchError, BenchPlan, parse_numbers
from service.capacity.command import capacity
from service.contract.errors import BundleError, DuoActError, MalformedRequestError, NotFoundError, VideoTooLargeError
from service.contract.labels import Label, LabelLimits, parse_labels, read_label_file
from service.contract.texts import decode_text
from service.contract.views import DEFAULT_VIEWS, ViewPlan
from service.decoding.sandbox import forbid_dumps
from service.http.requests import is_loopback
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.questions import Question, StoredVideo
from service.server import DrainingServer, check_exposure, open_socket, render_url
from service.settings import Settings, SettingsError
from service.telemetry.logging import configure_logging

app = typer.Typer(help="Open-vocabulary video action recognition in English and Chinese.", no_args_is_help=True)
_EXIT_REFUSED = 1
_EXIT_UNUSABLE = 2
_UNUSABLE = (BenchError, BundleError, SettingsError, MalformedRequestError, NotFoundError)
_BAR_CHARACTERS = 24
_CHUNK_BYTES = 1024 * 1024

BundleOption = Annotated[Path | None, typer.Option(help="Folder of the bundle. [default: model_repository/demo]")]


@app.callback()
def _commands() -> None:
    """Keep subcommands, however many there are."""


@app.command()
def serve(
    *,
    bundle: BundleOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8000]")] = None,
    workers: Annotated[int | None, typer.Option(help="Videos decoded at the same time. [default: 2]")] = None,
    triton: Annotated[
        str | None, typer.Option(help="HOST:PORT of a Triton server's gRPC endpoint. [default: encode on this machine]")
    ] = None,
) -> None:
    """Serve the API and the web page."""
    try:
        settings = Settings.load(bundle=bundle, host=host, port=port, workers=workers, triton=triton)
        configure_logging(settings.log_level)
        forbid_dumps()
        with open_socket(settings.host, settings.port) as listening:
            _serve(load_parts(settings), settings=settings, listening=listening)
    except (DuoActError, SettingsError) as error:
        _fail(error)


def _serve(parts: Parts, *, settings: Settings, listening: socket.socket) -> None:
    address = listening.getsockname()[0]
    with closing(parts.reader):
        check_exposure(parts.reader.start(), address=address)
        # Who asks for no key, and serves this machine alone, is not to be asked through another site's name.
        is_open = bool(settings.read_api_keys()) or not is_loopback(address)
        typer.echo(f"DuoAct serves {parts.answering.bundle.manifest.name} on {render_url(listening)}")
        DrainingServer(build_app(parts), settings=settings, is_open=is_open).run(sockets=[listening])


@app.command()
def recognize(  # noqa: PLR0913 - one argument an option
    video: Annotated[Path, typer.Argument(help="The video file, or a pipe such as /dev/stdin.")],
    *,
    labels: Annotated[str | None, typer.Option(help="Labels, separated by commas.")] = None,
    labels_file: Annotated[Path | None, typer.Option(help="One label a line, a JSON list, or a CSV id,en,zh.")] = None,
    label_set: Annotated[str | None, typer.Option(help="Name of a stored label set.")] = None,
    fusion_lambda: Annotated[float | None, typer.Option("--lambda", help="Weight of English, 0 to 1.")] = None,
    views: Annotated[str, typer.Option(help="Clips x crops, such as 4x3.")] = DEFAULT_VIEWS,
    top_k: Annotated[int, typer.Option(min=1, help="How many labels to show.")] = Question.top_k,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer of the API.")] = False,
    bundle: BundleOption = None,
) -> None:
    """Recognise one video on this machine, without a server."""
    try:
        settings = Settings.load(bundle=bundle, workers=1)
        configure_logging("error")
        with _open_video(video, limit_bytes=settings.max_upload_bytes) as stored:
            parts = load_parts(settings)
            question = Question(
                labels=_choose_labels(parts, labels=labels, labels_file=labels_file, label_set=label_set),
                plan=ViewPlan.parse(views),
                top_k=top_k,
                fusion_lambda=fusion_lambda,
            )
            answer = asyncio.run(_answer(parts, video=stored, question=question))
    except (DuoActError, SettingsError) as error:
        _fail(error)
    if as_json:
        typer.echo(render_json(answer))
    else:
        _show(answer)


app.command()(capacity)


@app.command()
def bench(  # noqa: PLR0913 - one argument an option
    *,
    url: Annotated[str | None, typer.Option(help="Measure the service that runs there, over HTTP.")] = None,
    video: Annotated[Path | None, typer.Option(help="The video to ask about. [default: one made for it]")] = None,
    label_set: Annotated[str | None, typer.Option(help="Label set to ask for. [default: the bundle's]")] = None,
    views: Annotated[str, typer.Option(help="Clips x crops, such as 4x3.")] = DEFAULT_VIEWS,
    num_requests: Annotated[int, typer.Option(help="Requests of each kind.")] = 60,
    num_warm_up: Annotated[int, typer.Option(help="Requests before those, which are not counted.")] = 5,
    num_rounds: Annotated[int, typer.Option(help="How often what is compared takes turns.")] = 3,
    num_labels: Annotated[int, typer.Option(help="Labels to embed, cold and warm.")] = 400,
    concurrency: Annotated[str, typer.Option(help="Requests at the same time.")] = "1,2,4,8",
    batch_sizes: Annotated[str, typer.Option(help="Views that the encoder is given at once.")] = "1,2,4,8",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for the figures, as JSON.")] = None,
    bundle: BundleOption = None,
    workers: Annotated[int | None, typer.Option(help="Videos decoded at the same time. [default: 2]")] = None,
) -> None:
    """Measure what recognition costs on this machine: start, latency, throughput, every stage, memory."""
    # The other commands need no HTTP client, which takes a while to import.
    from service.bench.command import run_bench
    from service.bench.report import check_writable, write_report
    from service.bench.table import render_report

    try:
        plan = BenchPlan(
            num_requests=num_requests,
            num_warm_up=num_warm_up,
            concurrencies=parse_numbers(concurrency, option="concurrency"),
            batch_sizes=parse_numbers(batch_sizes, option="batch-sizes"),
            num_labels=num_labels,
            num_rounds=num_rounds,
            views=ViewPlan.parse(views),
        )
        if url is not None and (bundle is not None or workers is not None):
            raise BenchError(
                f"--url is {url!r}, whose bundle and workers are its own; leave --bundle and --workers out"
            )
        check_writable(out)
        settings = Settings.load(bundle=bundle, workers=workers)
        configure_logging("error")
        console = Console(stderr=True)
        report = run_bench(plan, settings=settings, url=url, video=video, label_set=label_set, console=console)
        write_report(out, text=report.to_json())
    except (BenchError, DuoActError, SettingsError) as error:
        _fail(error)
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        Console().print(render_report(report), highlight=False)


async def _answer(parts: Parts, *, video: StoredVideo, question: Question) -> Answer:
    started_at = time.monotonic()
    stopwatch = Stopwatch(started_at=started_at)
    parts.reader.start()
    await parts.label_banks.open()
    try:
        recognition = await parts.answering.recognizer.recognize(
            video, question, deadline=Deadline(started_at, parts.settings.deadline_seconds), stopwatch=stopwatch
        )
    finally:
        await parts.close()
    return render_answer(recognition, bundle=parts.answering.bundle, request_id="local", stopwatch=stopwatch)


@contextmanager
def _open_video(path: Path, *, limit_bytes: int) -> Iterator[StoredVideo]:
    """Open and digest a video; what comes through a pipe, which cannot be read again, is kept in a file meanwhile.

    Raises:
        NotFoundError: the file cannot be read.
        VideoTooLargeError: the pipe gives more than ``limit_bytes``.
    """
    with ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                copy = stack.enter_context(TemporaryFile(prefix="duoact-"))
                _copy_pipe(file, copy, limit_bytes=limit_bytes)
                file = copy
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as error:
            raise NotFoundError(f"video {str(path)!r} cannot be read: {error.strerror}") from error
        yield StoredVideo(file.fileno(), digest)


def _copy_pipe(pipe: IO[bytes], copy: IO[bytes], *, limit_bytes: int) -> None:
    while chunk := pipe.read(_CHUNK_BYTES):
        copy.write(chunk)
        if copy.tell() > limit_bytes:
            raise VideoTooLargeError(
                f"the pipe gives more than {limit_bytes} bytes, the most that are accepted; send a smaller video"
            )
    copy.flush()


def _choose_labels(
    parts: Parts, *, labels: str | None, labels_file: Path | None, label_set: str | None
) -> tuple[Label, ...]:
    limits = LabelLimits(parts.settings.max_labels, parts.settings.max_label_characters)
    num_given = sum(choice is not None for choice in (labels, labels_file, label_set))
    if num_given == 0 and parts.answering.recognizer.classes is not None:
        return parts.answering.recognizer.classes
    if num_given != 1:
        raise MalformedRequestError("give exactly one of --labels, --labels-file and --label-set")
    if labels is not None:
        texts = [text for part in labels.split(",") for text in part.split("，")]
        return parse_labels(texts, limits=limits)
    if label_set is not None:
        return parts.answering.label_sets.find(label_set).labels
    return _read_labels(Path(labels_file or ""), limits=limits)


def _read_labels(path: Path, *, limits: LabelLimits) -> tuple[Label, ...]:
    try:
        if path.suffix == ".csv":
            return read_label_file(path)
        text = decode_text(path.read_bytes(), name=path.name)
        values = json.loads(text) if path.suffix == ".json" else [line for line in text.split("\n") if line.strip()]
    except OSError as error:
        raise NotFoundError(f"label file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise MalformedRequestError(f"label file {str(path)!r} cannot be read: {error}") from error
    return parse_labels(values, limits=limits)


def _show(answer: Answer) -> None:
    table = Table("", "label", "probability", "", "score", "English", "Chinese", box=None, header_style="bold")
    for prediction in answer.predictions:
        texts = " / ".join(text for text in (prediction.label.en, prediction.label.zh) if text is not None)
        table.add_row(
            str(prediction.rank),
            escape(texts),
            f"{prediction.probability:.1%}",
            "█" * round(prediction.probability * _BAR_CHARACTERS),
            f"{prediction.score:.3f}",
            *(
                "-" if value is None else f"{value:.3f}"
                for value in (prediction.similarity_en, prediction.similarity_zh)
            ),
        )
    console = Console()
    console.print(table)
    video, milliseconds = answer.video, answer.timings_ms["total"]
    scored = "closed vocabulary" if answer.fusion is None else f"lambda {answer.fusion.fusion_lambda:g}"
    codec = f"{video.codec}, {video.tone_mapped_from.upper()} tone-mapped" if video.tone_mapped_from else video.codec
    console.print(
        f"{video.duration_seconds:.1f} s, {video.width} x {video.height}, {codec}; {scored}; {milliseconds:.0f} ms",
        style="dim",
        highlight=False,
    )
    for warning in answer.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)


def _fail(error: Exception) -> NoReturn:
    """Say in one line what is wrong, and leave: 2 where the command cannot be carried out, 1 where it is refused."""
    Console(stderr=True, soft_wrap=True).print(f"duoact: {error}", markup=False, highlight=False)
    raise typer.Exit(_EXIT_UNUSABLE if isinstance(error, _UNUSABLE) else _EXIT_REFUSED)
