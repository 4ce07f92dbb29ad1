"""The proof that a bundle is the model it was exported from, on every engine that can run it here."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from tokenizers import Tokenizer

from service.contract.agreement import (
    PROOF_DIFFERENCE_F32,
    Distance,
    join_distances,
    measure_distance,
)
from service.contract.cpu import describe_cpu
from service.contract.engine import find_obstacle
from service.contract.errors import BundleError
from service.contract.golden import Arrays, read_golden
from service.contract.graphs import GraphSpec, find_format, graph_specs
from service.contract.layout import GOLDEN_NAME, graph_file, tokenizer_file
from service.contract.manifest import Bundle, MeasuredPrecision, Sections, open_bundle
from service.contract.precision import MIN_COSINE_BF16, Precision, served_precisions
from training.export.cases import Case, draw_cases
from training.export.engines import (
    Run,
    onnxruntime_engine,
    openvino_engine,
    torch_engine,
    torchscript_engine,
)
from training.export.graphs import tower
from training.export.triton_engine import triton_engine
from training.models.video_clip import VideoCLIP

_ALLOWED: dict[Precision, str] = {
    "f32": f"a difference of {PROOF_DIFFERENCE_F32}",
    "bf16": f"a cosine of {MIN_COSINE_BF16}",
}
_ADVICE: dict[Precision, str] = {"f32": "export it again", "bf16": "serve it in f32 (DUOACT_ENCODER_PRECISION)"}
_NO_DISTANCE = Distance()
EXACT: tuple[Precision, ...] = ("f32",)
EVERY_PRECISION: tuple[Precision, ...] = ("f32", "bf16")

# By case: inputs, and the outputs they must give; found outputs are cut to the shape of the expected ones.
Expectations = Mapping[str, Sequence[tuple[Arrays, Arrays]]]


@dataclass(frozen=True)
class Record:
    """How far one engine is from the reference on one kind of input, over ``num_runs`` runs.

    An engine that cannot run here has no runs, and ``note`` says why. A precision
    that is not ``served`` is one that no service chooses for the graph: it is reported, and proves nothing.
    """

    graph: str
    engine: str
    case: str
    precision: Precision
    num_runs: int = 0
    distance: Distance = _NO_DISTANCE
    note: str = ""
    served: bool = True

    @property
    def is_near(self) -> bool:
        """Whether the engine is as near as its precision demands; not a number is never near."""
        return self.distance.is_near(self.precision, max_difference=PROOF_DIFFERENCE_F32)


@dataclass(frozen=True)
class _Engine:
    name: str
    precision: Precision
    load: Callable[[], Run]
    note: str = ""


def verify_bundle(
    bundle_dir: Path,
    *,
    model: VideoCLIP | None = None,
    console: Console | None = None,
    triton: str | None = None,
    judged: Collection[Precision] = EVERY_PRECISION,
) -> list[Record]:
    """Replay golden and random inputs on every engine and compare with torch.

    The reference on random inputs is ``model`` where it is given, and the bundle's first engine otherwise; it is
    compared with the golden outputs itself.

    Args:
        bundle_dir: the bundle's folder.
        model: the model that was exported, on the CPU.
        console: where a table of all comparisons is printed, if anywhere.
        triton: ``host:port`` of a Triton server that runs the bundle's graphs, if it is to be compared too.
        judged: the precisions in which an engine that differs is an error.

    Raises:
        BundleError: the bundle is broken, or an engine differs by more than its precision explains, in a precision
            that a service may choose for the graph; the message names graph, engine, input and difference.
    """
    bundle = open_bundle(bundle_dir)
    records = [
        record
        for spec in graph_specs(bundle.manifest)
        for record in _verify_graph(bundle, spec, model=model, triton=triton)
    ]
    if console is not None:
        console.print(render_records(records, title=f"Bundle {bundle.manifest.name}"))
    for record in records:
        if record.served and record.precision in judged and not record.is_near:
            raise BundleError(
                f"{record.graph} on {record.engine}, {record.case}: {record.distance}; {_ALLOWED[record.precision]} is "
                f"allowed: {_ADVICE[record.precision]}"
            )
    return records


def summarise_precisions(records: Iterable[Record]) -> dict[str, dict[Precision, MeasuredPrecision]]:
    """Say how near graphs came to f32 in the other precisions that a service may choose, where they were run."""
    distances: dict[tuple[str, Precision], list[Distance]] = defaultdict(list)
    for record in records:
        if record.num_runs and record.served and record.precision not in EXACT:
            distances[record.graph, record.precision].append(record.distance)
    found: dict[str, dict[Precision, MeasuredPrecision]] = defaultdict(dict)
    for (graph, precision), each in distances.items():
        cosine = join_distances(each).min_cosine
        # What is not a number points nowhere.
        found[graph][precision] = MeasuredPrecision(min_cosine=-1.0 if isnan(cosine) else cosine, cpu=describe_cpu())
    return dict(found)


def render_records(records: Sequence[Record], *, title: str) -> RenderableType:
    """Render records as a table for each graph that fits a terminal of 80 columns, and what is to be known of them."""
    tables = [_render_graph(graph, list(rows)) for graph, rows in groupby(records, key=lambda record: record.graph)]
    notes = sorted({f"{record.engine} is not run: {record.note}" for record in records if record.note})
    allowed = " and ".join(f"{limit} in {precision}" for precision, limit in _ALLOWED.items())
    unserved = [f"{each.graph} in {each.precision}" for each in records if not each.served and each.num_runs]
    if unserved:
        notes.append(f"not served, and so not judged: {', '.join(dict.fromkeys(unserved))}")
    # As a text, so that brackets in a reason stay what they are.
    return Group(Text(title, style="bold"), *tables, Text("\n".join([f"allowed: {allowed}", *notes])))


def _render_graph(graph: str, records: Iterable[Record]) -> Table:
    table = Table(title=graph, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("engine", "input", "runs", "largest difference", "smallest cosine", ""):
        table.add_column(column, no_wrap=" " not in column)
    for record in records:
        distance = record.distance
        figures = (f"{distance.max_difference:.1e}", f"{distance.min_cosine:.6f}") if record.num_runs else ("", "")
        table.add_row(record.engine, record.case, str(record.num_runs), *figures, _render_verdict(record))
    return table


def _render_verdict(record: Record) -> str:
    if record.note:
        return "not run"
    if not record.served:
        return "not served"
    return "[green]equal[/green]" if record.is_near else "[red]differs[/red]"


def _verify_graph(
    bundle: Bundle,
    spec: GraphSpec,
    *,
    model: VideoCLIP | None,
    triton: str | None,
) -> Iterator[Record]:
    reference, *others = _engines(bundle, spec, model)
    if triton is not None:
        graph_format = find_format(bundle.manifest)
        others.append(_Engine("Triton", "f32", lambda: triton_engine(triton, spec=spec, graph_format=graph_format)))
    vocabulary_size, max_length = _text_limits(bundle, spec)
    cases = list(draw_cases(spec, vocabulary_size=vocabulary_size, max_length=max_length))
    expectations = _expectations(bundle, spec, cases=cases, reference=reference.load())
    trivial = {case.name for case in cases if case.repeats_reference}
    sections = bundle.manifest.sections
    own = {name: pairs for name, pairs in expectations.items() if name not in trivial}
    yield from _compare(spec, reference, own, sections=sections)
    for engine in others:
        yield from _compare(spec, engine, expectations, sections=sections)


def _compare(spec: GraphSpec, engine: _Engine, expectations: Expectations, *, sections: Sections) -> Iterator[Record]:
    is_candidate = engine.precision in served_precisions(spec.name)
    served = is_candidate and not sections.find_objection(spec.name, engine.precision)
    if engine.note:
        yield Record(spec.name, engine.name, "all", engine.precision, note=engine.note, served=served)
        return
    run = engine.load()
    for case, pairs in expectations.items():
        distance = join_distances([measure_distance(run(inputs), outputs) for inputs, outputs in pairs])
        yield Record(spec.name, engine.name, case, engine.precision, len(pairs), distance, served=served)


def _engines(bundle: Bundle, spec: GraphSpec, model: VideoCLIP | None) -> Iterator[_Engine]:
    if model is not None:
        module = tower(model, spec.name)
        yield _Engine("torch", "f32", lambda: torch_engine(module, spec=spec))
    script = bundle.directory / graph_file(spec.name, "torchscript")
    if script.is_file():
        yield _Engine("TorchScript", "f32", lambda: torchscript_engine(script, spec=spec))
        return
    path = bundle.directory / graph_file(spec.name, "onnx")
    yield _Engine("ONNX Runtime", "f32", lambda: onnxruntime_engine(path))
    yield _Engine("OpenVINO f32", "f32", lambda: openvino_engine(path, precision="f32"))
    yield _Engine("OpenVINO bf16", "bf16", lambda: openvino_engine(path, precision="bf16"), find_obstacle("bf16"))


def _expectations(bundle: Bundle, spec: GraphSpec, *, cases: Iterable[Case], reference: Run) -> Expectations:
    expectations: dict[str, Sequence[tuple[Arrays, Arrays]]] = {
        "golden": [read_golden(bundle.directory / GOLDEN_NAME).of(spec)]
    }
    for case in cases:
        expectations[case.name] = [(each.inputs, reference(each.reference_inputs)) for each in case.comparisons]
    return expectations


def _text_limits(bundle: Bundle, spec: GraphSpec) -> tuple[int, int]:
    """Vocabulary size and longest text of a graph's tower; none for the video graph."""
    manifest = bundle.manifest
    towers = {"text_encoder_en": ("en", manifest.english), "text_encoder_zh": ("zh", manifest.chinese)}
    language, tower_of_text = towers.get(spec.name, ("", None))
    if tower_of_text is None:
        return 0, 0
    tokenizer = Tokenizer.from_file(str(bundle.directory / tokenizer_file(language)))
    return tokenizer.get_vocab_size(), tower_of_text.max_length
