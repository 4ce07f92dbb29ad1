"""The encoder and the text towers alone, with fakes that say what they were given."""

import pytest

from service.app import Parts
from service.bench.encode import measure_encoder
from service.bench.labels import draw_labels, measure_labels
from service.bench.plan import BenchError
from service.contract.labels import Label, LabelTable
from service.contract.manifest import Manifest
from service.labels.sets import LabelSets
from tests.bundles import manifest_fields
from tests.conftest import RunService
from tests.encoders import FakeEngine, FakeVideoEncoder
from tests.service.bench.targets import Announced

RUN, JUMP, WALK = Label("run", "跑"), Label("jump", "跳"), Label("walk", "走")


async def test_encoder_is_given_every_batch_size_in_turn_after_warming_up() -> None:
    encoder, announced = FakeVideoEncoder(), Announced()
    manifest = Manifest.model_validate(manifest_fields())
    one, three = await measure_encoder(
        encoder,
        manifest=manifest,
        batch_sizes=(1, 3),
        num_rounds=2,
        advance=announced("encoder", 6),
        min_turn_seconds=0,
    )
    size, num_frames = manifest.preprocessing.input_size, manifest.sampling.num_frames
    assert encoder.shapes == [(1, num_frames, size, size, 3), (3, num_frames, size, size, 3)] * 3
    assert (one.num_views, three.num_views, announced.steps) == (1, 3, {"encoder": 6})
    assert three.views_per_second == pytest.approx(3000 / three.call_ms, rel=0.01)


async def test_quick_encoder_is_called_until_the_turn_is_long_enough() -> None:
    encoder = FakeVideoEncoder(delay_seconds=0.01)
    manifest = Manifest.model_validate(manifest_fields())
    [cost] = await measure_encoder(
        encoder, manifest=manifest, batch_sizes=(1,), num_rounds=1, advance=lambda: None, min_turn_seconds=0.05
    )
    assert (cost.call_ms >= 10, 4 <= encoder.num_calls <= 10) == (True, True)


def label_sets(**builtin: tuple[Label, ...]) -> LabelSets:
    tables = {name: LabelTable(labels, tuple(map(str, labels))) for name, labels in builtin.items()}
    return LabelSets(bundle={"own": (Label("run"), Label("run", "奔跑"))}, builtin=tables)


def test_labels_are_drawn_once_and_with_both_languages() -> None:
    sets = label_sets(a=(WALK, Label("go", "走"), RUN), kinetics_400=(RUN, Label(None, "飞"), JUMP))
    drawn = draw_labels(sets, num_labels=3)
    assert ({label.en for label in drawn}, {label.zh for label in drawn}) == (
        {"run", "jump", "go"},
        {"奔跑", "跳", "走"},
    )


def test_more_labels_than_there_are_is_refused() -> None:
    with pytest.raises(BenchError) as raised:
        draw_labels(label_sets(a=(RUN, JUMP)), num_labels=3)
    assert str(raised.value) == "--num-labels is 3; the stored label sets have 2: give fewer"


async def embed(parts: Parts) -> tuple[str, ...]:
    announced = Announced()
    costs = await measure_labels(parts, labels=(RUN, JUMP), num_rounds=2, advance=announced("labels", 6))
    assert announced.steps == {"labels": 3 * len(costs)}
    assert all(cost.num_labels == 2 and cost.first_ms > 0 and cost.disk_ms > cost.warm_ms > 0 for cost in costs)
    return tuple(cost.language for cost in costs)


async def test_every_round_reads_the_texts_of_both_languages_once(run_service: RunService) -> None:
    engine = FakeEngine()
    async with run_service(engine) as service:
        assert await embed(service.parts) == ("en", "zh")
    assert engine.english.batches == [("run", "jump")] * 3
    assert engine.chinese is not None
    assert engine.chinese.batches == [("跑", "跳")] * 3


async def test_bundle_without_chinese_is_measured_in_english(run_service: RunService) -> None:
    engine = FakeEngine(chinese=None)
    async with run_service(engine) as service:
        assert await embed(service.parts) == ("en",)
