"""The proof that a bundle is the model it was exported from, on every engine that can run it here."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from tokenizers import Tokenizer

from service.contract.engine import find_obstacle
from service.contract.errors import BundleError
from service.contract.graphs import GraphSpec, find_format, graph_specs
from service.contract.manifest import Bundle, open_bundle
from service.contract.precision import MIN_COSINE_BF16, Precision, served_precisions
from training.export.cases import Case, draw_cases
from training.export.engines import (
    Arrays,
    Run,
    onnxruntime_engine,
    openvino_engine,
    torch_engine,
    torchscript_engine,
)
from training.export.golden import GOLDEN_NAME, read_golden
from training.export.graphs import tower
from training.export.triton_engine import triton_engine
from training.models.video_clip import VideoCLIP

# Of a vector of unit length, or of one whose numbers stay below 1. Logits are as large as training makes them, and
# rounding grows with them: theirs are measured against the largest of each row.
MAX_DIFFERENCE_F32 = 1e-4
_ALLOWED: dict[Precision, str] = {
    "f32": f"a difference of {MAX_DIFFERENCE_F32}",
    "bf16": f"a cosine of {MIN_COSINE_BF16}",
}
_ADVICE: dict[Precision, str] = {"f32": "export it again", "bf16": "serve it in f32 (DUOACT_ENCODER_PRECISION)"}
EXACT: tuple[Precision, ...] = ("f32",)
EVERY_PRECISION: tuple[Precision, ...] = ("f32", "bf16")

# By case: inputs, and the outputs they must give; found outputs are cut to the shape of the expected ones.
Expectations = Mapping[str, Sequence[tuple[Arrays, Arrays]]]


@dataclass(frozen=True)
class Record:
    """How far one engine is from the reference on one kind of input, over ``num_runs`` runs.

    ``max_difference`` is over all numbers, each as a share of the largest in its vector where that is above 1;
    ``min_cosine`` is over all vectors. An engine that cannot run here has no runs, and ``note`` says why. A precision
    that is not ``served`` is one that no service chooses for the graph: it is reported, and proves nothing.
    """

    graph: str
    engine: str
    case: str
    precision: Precision
    num_runs: int = 0
    max_difference: float = 0.0
    min_cosine: float = 1.0
    note: str = ""

    @property
    def served(self) -> bool:
        """Whether a service may choose the precision for this graph."""
        return self.precision in served_precisions(self.graph)

    @property
    def is_near(self) -> bool:
        """Whether the engine is as near as its precision demands; not a number is never near."""
        if self.precision == "bf16":
            return self.min_cosine >= MIN_COSINE_BF16
        return self.max_difference <= MAX_DIFFERENCE_F32


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
    precisions: Collection[Precision] = EVERY_PRECISION,
) -> list[Record]:
    """Replay golden and random inputs on every engine and compare with torch.

    The reference on random inputs is ``model`` where it is given, and the bundle's first engine otherwise; it is
    compared with the golden outputs itself.

    Args:
        bundle_dir: the bundle's folder.
        model: the model that was exported, on the CPU.
        console: where a table of all comparisons is printed, if anywhere.
        triton: ``host:port`` of a Triton server that runs the bundle's graphs, if it is to be compared too.
        precisions: those that are run; the others are left out.

    Raises:
        BundleError: the bundle is broken, or an engine differs by more than its precision explains, in a precision
            that a service may choose for the graph; the message names graph, engine, input and difference.
    """
    bundle = open_bundle(bundle_dir)
    records = [
        record
        for spec in graph_specs(bundle.manifest)
        for record in _verify_graph(bundle, spec, model=model, triton=triton, precisions=precisions)
    ]
    if console is not None:
        console.print(render_records(records, title=f"Bundle {bundle.manifest.name}"))
    for record in records:
        if record.served and not record.is_near:
            raise BundleError(
                f"{record.graph} on {record.engine}, {record.case}: largest difference {record.max_difference:.2e}, "
                f"smallest cosine {record.min_cosine:.6f}; {_ALLOWED[record.precision]} is allowed: "
                f"{_ADVICE[record.precision]}"
            )
    return records


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
        figures = (f"{record.max_difference:.1e}", f"{record.min_cosine:.6f}") if record.num_runs else ("", "")
        table.add_row(record.engine, record.case, str(record.num_runs), *figures, _render_verdict(record))
    return table


def _render_verdict(record: Record) -> str:
    if record.note:
        return "not run"
    if not record.served:
        return "not served"
    return "[green]equal[/green]" if record.is_near else "[red]differs[/red]"


def measure_distance(found: Arrays, expected: Arrays) -> tuple[float, float]:
    """Measure the largest difference and the smallest cosine over all outputs, as a record has them.

    Outputs that were found are cut to the shape of the expected ones.
    """
    differences, cosines = [], []
    for name, wanted in expected.items():
        got = found[name][tuple(slice(size) for size in wanted.shape)]
        differences.append(float(_differences(got, wanted).max()))
        cosines.append(float(_cosines(got, wanted).min()))
    return float(np.max(differences)), float(np.min(cosines))


def _verify_graph(
    bundle: Bundle,
    spec: GraphSpec,
    *,
    model: VideoCLIP | None,
    triton: str | None,
    precisions: Collection[Precision],
) -> Iterator[Record]:
    reference, *others = _engines(bundle, spec, model)
    if triton is not None:
        graph_format = find_format(bundle.manifest)
        others.append(_Engine("Triton", "f32", lambda: triton_engine(triton, spec=spec, graph_format=graph_format)))
    vocabulary_size, max_length = _text_limits(bundle, spec)
    cases = list(draw_cases(spec, vocabulary_size=vocabulary_size, max_length=max_length))
    expectations = _expectations(bundle, spec, cases=cases, reference=reference.load())
    trivial = {case.name for case in cases if case.repeats_reference}
    yield from _compare(spec, reference, {name: pairs for name, pairs in expectations.items() if name not in trivial})
    for engine in others:
        if engine.precision in precisions:
            yield from _compare(spec, engine, expectations)


def _compare(spec: GraphSpec, engine: _Engine, expectations: Expectations) -> Iterator[Record]:
    if engine.note:
        yield Record(spec.name, engine.name, "all", engine.precision, note=engine.note)
        return
    run = engine.load()
    for case, pairs in expectations.items():
        differences, cosines = zip(*(measure_distance(run(inputs), outputs) for inputs, outputs in pairs), strict=True)
        # Unlike max and min, these keep what is not a number.
        furthest, nearest = float(np.max(differences)), float(np.min(cosines))
        yield Record(spec.name, engine.name, case, engine.precision, len(pairs), furthest, nearest)


def _engines(bundle: Bundle, spec: GraphSpec, model: VideoCLIP | None) -> Iterator[_Engine]:
    if model is not None:
        module = tower(model, spec.name)
        yield _Engine("torch", "f32", lambda: torch_engine(module, spec=spec))
    script = bundle.directory / spec.file_name("torchscript")
    if script.is_file():
        yield _Engine("TorchScript", "f32", lambda: torchscript_engine(script, spec=spec))
        return
    path = bundle.directory / spec.file_name("onnx")
    yield _Engine("ONNX Runtime", "f32", lambda: onnxruntime_engine(path))
    yield _Engine("OpenVINO f32", "f32", lambda: openvino_engine(path, precision="f32"))
    yield _Engine("OpenVINO bf16", "bf16", lambda: openvino_engine(path, precision="bf16"), find_obstacle("bf16"))


def _expectations(bundle: Bundle, spec: GraphSpec, *, cases: Iterable[Case], reference: Run) -> Expectations:
    expectations: dict[str, Sequence[tuple[Arrays, Arrays]]] = {
        "golden": [read_golden(bundle.directory / GOLDEN_NAME, spec=spec)]
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
    tokenizer = Tokenizer.from_file(str(bundle.directory / f"tokenizer_{language}.json"))
    return tokenizer.get_vocab_size(), tower_of_text.max_length


def _differences(
    got: Float32[np.ndarray, "*axes D"], wanted: Float32[np.ndarray, "*axes D"]
) -> Float32[np.ndarray, "*axes D"]:
    return np.abs(got - wanted) / np.maximum(np.abs(wanted).max(axis=-1, keepdims=True), np.float32(1))


def _cosines(a: Float32[np.ndarray, "*axes D"], b: Float32[np.ndarray, "*axes D"]) -> Float32[np.ndarray, "*axes"]:
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(axis=-1) / np.maximum(norms, np.float32(1e-12))
