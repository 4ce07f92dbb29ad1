"""What embedding a list of labels costs with a bundle's text towers: rows as long as their labels, or padded.

Both ways run in one process on the engine that the service embeds with, and in batches as the service makes them. The
masks of the towers make the results equal; how equal is reported too.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import openvino
from jaxtyping import Float32
from rich.table import Table

from service.contract.engine import open_core
from service.contract.golden import Arrays
from service.contract.labels import Label
from service.contract.layout import tokenizer_file
from service.contract.manifest import Bundle, open_bundle
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from service.contract.wording import list_some
from training.errors import SettingError
from training.runs.environment import describe_environment

Lengths = Literal["dynamic", "padded"]
LENGTHS: tuple[Lengths, ...] = ("dynamic", "padded")
# As many texts as the service encodes at once.
BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class TowerCost:
    """One text tower in one way: ``cold_seconds`` are the first pass over all labels, the others repeat it.

    ``cpu_seconds`` of the repeated passes add up all threads; other programs disturb them less. ``num_positions``
    counts the tokens that the tower sees, padding included.
    """

    language: str
    lengths: Lengths
    num_texts: int
    num_positions: int
    compile_seconds: float
    cold_seconds: float
    warm_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LabelCostReport:
    """Costs of both languages and ways; ``ratios`` divide padded by dynamic, both languages together.

    ``max_difference`` is the largest between an embedding of one way and the same of the other.
    """

    bundle: str
    num_labels: int
    batch_size: int
    num_threads: int
    hardware: str
    costs: tuple[TowerCost, ...]
    ratios: dict[str, float]
    max_difference: float

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def measure_label_cost(
    bundle_dir: Path, labels: Sequence[Label], *, num_repeats: int, num_threads: int, batch_size: int = BATCH_SIZE
) -> LabelCostReport:
    """Embed labels in both languages, with rows as long as needed and with rows of the towers' full length.

    The passes of the two ways alternate, so that a busy machine disturbs both alike; 0 threads means all cores.

    Raises:
        BundleError: the bundle is broken.
        SettingError: the bundle has no Chinese tower, or a label lacks a language.
    """
    bundle = open_bundle(bundle_dir)
    if bundle.manifest.chinese is None:
        raise SettingError(f"{bundle.manifest.name} has no Chinese tower; give a bundle with two text towers")
    if lacking := [label for label in labels if label.en is None or label.zh is None]:
        raise SettingError(f"labels {list_some(lacking)} lack a language; give labels in both")
    texts = {"en": [str(label.en) for label in labels], "zh": [str(label.zh) for label in labels]}
    measured = [
        _measure_language(
            bundle, language, own, num_repeats=num_repeats, batch_size=batch_size, num_threads=num_threads
        )
        for language, own in texts.items()
    ]
    costs = tuple(cost for own, _ in measured for cost in own)
    return LabelCostReport(
        bundle=bundle.manifest.name,
        num_labels=len(labels),
        batch_size=batch_size,
        num_threads=num_threads,
        hardware=describe_environment()["device"],
        costs=costs,
        ratios=compare_costs(costs),
        max_difference=max(difference for _, difference in measured),
    )


def compare_costs(costs: Sequence[TowerCost]) -> dict[str, float]:
    """Divide what padded rows take by what dynamic ones take, all languages together."""
    figures: Mapping[str, Callable[[TowerCost], float]] = {
        "cold": lambda cost: cost.cold_seconds,
        "warm": lambda cost: median(cost.warm_seconds),
        "warm_cpu": lambda cost: median(cost.cpu_seconds),
        "positions": lambda cost: cost.num_positions,
    }
    sums = {
        name: {way: sum(figure(cost) for cost in costs if cost.lengths == way) for way in LENGTHS}
        for name, figure in figures.items()
    }
    return {name: round(each["padded"] / each["dynamic"], 2) for name, each in sums.items()}


def render_label_cost(report: LabelCostReport) -> Table:
    """Render a report as a table for a terminal."""
    table = Table(title=f"{report.num_labels} labels of {report.bundle}, seconds")
    for column in ("", "rows", "tokens", "compile", "cold", "warm", "CPU, warm"):
        table.add_column(column, justify="left" if column in ("", "rows") else "right")
    for cost in report.costs:
        seconds = (cost.compile_seconds, cost.cold_seconds, median(cost.warm_seconds), median(cost.cpu_seconds))
        table.add_row(cost.language, cost.lengths, str(cost.num_positions), *(f"{each:.2f}" for each in seconds))
    ratios = report.ratios
    shares = (f"{ratios[name]:g}x" for name in ("positions", "cold", "warm", "warm_cpu"))
    tokens, *others = shares
    table.add_row("both", "padded / dynamic", tokens, "", *others)
    return table


def _measure_language(
    bundle: Bundle, language: str, texts: Sequence[str], *, num_repeats: int, batch_size: int, num_threads: int
) -> tuple[list[TowerCost], float]:
    """Measure one tower both ways; also returns how far the embeddings are apart."""
    path = bundle.directory / f"text_encoder_{language}" / "1" / "model.onnx"
    batches = {way: list(_tokenize(bundle, language, texts, way, batch_size=batch_size)) for way in LENGTHS}
    graphs: dict[Lengths, openvino.CompiledModel] = {}
    starts: dict[Lengths, tuple[float, float]] = {}
    outputs: dict[Lengths, Float32[np.ndarray, "L D"]] = {}
    for way in LENGTHS:
        started = time.perf_counter()
        graphs[way] = _load(path, num_threads=num_threads)
        compiled = time.perf_counter()
        outputs[way] = _embed(graphs[way], batches[way])
        starts[way] = compiled - started, time.perf_counter() - compiled
    passes = _repeat(lambda way: _embed(graphs[way], batches[way]), num_repeats=num_repeats)
    costs = [
        TowerCost(
            language=language,
            lengths=way,
            num_texts=len(texts),
            num_positions=sum(batch["token_ids"].size for batch in batches[way]),
            compile_seconds=starts[way][0],
            cold_seconds=starts[way][1],
            warm_seconds=tuple(wall for wall, _ in passes[way]),
            cpu_seconds=tuple(cpu for _, cpu in passes[way]),
        )
        for way in LENGTHS
    ]
    return costs, float(np.abs(outputs["dynamic"] - outputs["padded"]).max())


def _repeat(embed: Callable[[Lengths], object], *, num_repeats: int) -> dict[Lengths, list[tuple[float, float]]]:
    """Take turns between the two ways; returns wall and CPU seconds of every pass."""
    passes: dict[Lengths, list[tuple[float, float]]] = {way: [] for way in LENGTHS}
    for _ in range(num_repeats):
        for way in LENGTHS:
            wall, cpu = time.perf_counter(), time.process_time()
            embed(way)
            passes[way].append((time.perf_counter() - wall, time.process_time() - cpu))
    return passes


def _load(path: Path, *, num_threads: int) -> openvino.CompiledModel:
    """Compile a graph as the service does, which embeds texts in f32."""
    properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    threads = {"INFERENCE_NUM_THREADS": num_threads} if num_threads else {}
    return open_core().compile_model(path, "CPU", {**properties, **threads})


def _embed(graph: openvino.CompiledModel, batches: Sequence[Arrays]) -> Float32[np.ndarray, "L D"]:
    return np.concatenate([np.array(graph(dict(batch))["embedding"]) for batch in batches])


def _tokenize(
    bundle: Bundle, language: str, texts: Sequence[str], lengths: Lengths, *, batch_size: int
) -> Iterator[Arrays]:
    """Make the batches of a tower from texts of similar length, which share a row length."""
    ordered = sorted(texts, key=len)
    for start in range(0, len(ordered), batch_size):
        arrays, max_length = _encode(bundle, language, ordered[start : start + batch_size])
        missing = max_length - arrays["token_ids"].shape[1] if lengths == "padded" else 0
        yield {
            name: np.pad(array, ((0, 0), (0, missing))) if array.ndim > 1 else array for name, array in arrays.items()
        }


def _encode(bundle: Bundle, language: str, texts: Sequence[str]) -> tuple[dict[str, np.ndarray], int]:
    """Return a tower's inputs, and the length that it could take."""
    manifest, path = bundle.manifest, bundle.directory / tokenizer_file(language)
    tower = manifest.english if language == "en" or manifest.chinese is None else manifest.chinese
    if language == "en":
        english = EnglishTokenizer.from_file(path, max_length=tower.max_length)
        tokens = english.encode(texts, template=tower.template, word_set=manifest.scoring.word_set)
        return {"token_ids": tokens.token_ids, "eot_index": tokens.eot_index}, tower.max_length
    chinese = ChineseTokenizer.from_file(path, max_length=tower.max_length)
    words = chinese.encode(texts, template=tower.template)
    return {"token_ids": words.token_ids, "attention_mask": words.attention_mask}, tower.max_length
