"""The OpenVINO engine on tiny real graphs: right numbers, dynamic sizes, honest failures."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.contract.errors import BundleError, DeadlineExceededError, EncoderUnavailableError
from service.contract.manifest import Bundle, MeasuredPrecision, Sections, open_bundle
from service.contract.precision import WantedPrecision
from service.encoders.base import Encoders
from service.encoders.embedded import EngineOptions, OpenVINOGraph, load_embedded_encoders
from service.encoders.time_limit import TimeLimit
from tests.tiny_graphs import PIXEL_WEIGHTS, seal_bundle, unit, write_tiny_bundle

EXACT = EngineOptions(precision="f32", num_threads=1)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path / "tiny"))


@pytest.fixture
def encoders(bundle: Bundle) -> Iterator[Encoders]:
    loaded = load_embedded_encoders(bundle, options=EXACT)
    yield loaded
    loaded.close()


@pytest.mark.parametrize("num_views", [1, 4, 9])
async def test_video_features_are_those_of_the_graph(encoders: Encoders, num_views: int) -> None:
    views = np.random.default_rng(0).integers(0, 256, (num_views, 4, 8, 8, 3), dtype=np.uint8)
    features = await encoders.video.encode_video(views)
    np.testing.assert_allclose(features, unit(views.mean(axis=(2, 3)) @ PIXEL_WEIGHTS), atol=1e-5)


async def test_text_features_do_not_depend_on_the_company(encoders: Encoders) -> None:
    assert encoders.chinese is not None
    for tower, texts in ((encoders.english, ["running", "moving left right"]), (encoders.chinese, ["跑", "向左移动"])):
        together = await tower.encode_texts(texts, template="{}")
        for text, embedded in zip(texts, together, strict=True):
            [alone] = await tower.encode_texts([text], template="{}")
            np.testing.assert_allclose(alone.embedding, embedded.embedding, atol=1e-6)
            np.testing.assert_allclose(alone.words, embedded.words, atol=1e-6)


async def test_words_are_those_of_the_label(encoders: Encoders) -> None:
    plain, framed = [
        (await encoders.english.encode_texts(["moving left"], template=template))[0]
        for template in ("{}", "a video of {} of a video")
    ]
    assert plain.words.shape == (2, 16)
    np.testing.assert_array_equal(plain.words, framed.words)


async def test_texts_beyond_the_tower_are_marked(encoders: Encoders) -> None:
    assert encoders.chinese is not None
    english = await encoders.english.encode_texts(["left " * 90, "left"], template="{}")
    chinese = await encoders.chinese.encode_texts(["跑" * 90, "飞", "跑"], template="{}")
    assert [text.truncated for text in english] == [True, False]
    assert [(text.truncated, text.unknown) for text in chinese] == [(True, False), (False, True), (False, False)]


async def test_golden_vectors_come_back(encoders: Encoders) -> None:
    await encoders.check()


async def test_concurrent_calls_each_get_their_own_answer(encoders: Encoders) -> None:
    views = np.random.default_rng(0).integers(0, 256, (20, 4, 8, 8, 3), dtype=np.uint8)
    together = await asyncio.gather(*(encoders.video.encode_video(view[None]) for view in views))
    np.testing.assert_allclose(np.concatenate(together), await encoders.video.encode_video(views), atol=1e-6)


@pytest.mark.parametrize(
    ("num_threads", "message"), [(2, "video_encoder failed: .*incompatible"), (1, "1 rows are expected")]
)
async def test_inputs_of_another_shape_have_no_answer(bundle: Bundle, num_threads: int, message: str) -> None:
    encoders = load_embedded_encoders(bundle, options=EngineOptions(precision="f32", num_threads=num_threads))
    with pytest.raises(EncoderUnavailableError, match=message):
        await encoders.video.encode_video(np.zeros((1, 4, 9, 8, 3), dtype=np.uint8))


async def test_closed_engine_is_unavailable(bundle: Bundle) -> None:
    encoders = load_embedded_encoders(bundle, options=EXACT)
    encoders.close()
    with pytest.raises(EncoderUnavailableError, match="video_encoder failed"):
        await encoders.check()


@pytest.mark.parametrize(("wanted", "level"), [("auto", "info"), ("bf16", "warning")])
async def test_bundle_that_does_not_bear_bf16_is_run_in_f32_and_told_of(
    bundle: Bundle, wanted: WantedPrecision, level: str
) -> None:
    measured = MeasuredPrecision(min_cosine=0.9, cpu="a CPU")
    sections = Sections(precisions={"video_encoder": {"bf16": measured}})
    coarse = bundle.model_copy(update={"manifest": bundle.manifest.model_copy(update={"sections": sections})})
    with capture_logs() as log:
        load_embedded_encoders(coarse, options=EngineOptions(precision=wanted)).close()
    [obstacle, loaded] = log
    assert (obstacle["event"], obstacle["log_level"]) == ("bf16 is not used", level)
    assert "bf16" in obstacle["reason"]
    assert set(loaded["precisions"].values()) == {"f32"}


@pytest.mark.parametrize("precision", ["bf16", "auto"])
async def test_every_precision_passes_the_canary(bundle: Bundle, precision: str) -> None:
    encoders = load_embedded_encoders(bundle, options=EngineOptions(precision=precision))  # type: ignore[arg-type]
    await encoders.check()
    encoders.close()


def test_compiled_models_are_kept_for_the_next_start(bundle: Bundle, tmp_path: Path) -> None:
    options = EngineOptions(precision="f32", num_threads=1, cache_dir=tmp_path / "kept")
    for _ in range(2):
        load_embedded_encoders(bundle, options=options).close()
    assert len(list((tmp_path / "kept").glob("*.blob"))) == 3


def test_unusable_cache_directory_is_done_without(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    load_embedded_encoders(bundle, options=EngineOptions(cache_dir=tmp_path / "file" / "kept")).close()


def test_broken_graph_is_named(bundle: Bundle) -> None:
    path = bundle.directory / "video_encoder" / "1" / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"video_encoder/1/model.onnx cannot be loaded: .*; export the bundle again"):
        load_embedded_encoders(bundle, options=EXACT)


@pytest.mark.parametrize("name", ["tokenizer_en.json", "tokenizer_zh.json", "golden.safetensors"])
def test_broken_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.directory / name).write_bytes(b"broken")
    seal_bundle(bundle.directory)
    with pytest.raises(BundleError, match=name):
        load_embedded_encoders(open_bundle(bundle.directory), options=EXACT)


def test_bundle_without_chinese_has_no_chinese_tower(bundle: Bundle) -> None:
    scoring = bundle.manifest.scoring
    english_only = bundle.manifest.model_copy(
        update={
            "chinese": None,
            "scoring": scoring.model_copy(update={"fusion": scoring.fusion.model_copy(update={"value": 1.0})}),
        }
    )
    encoders = load_embedded_encoders(bundle.model_copy(update={"manifest": english_only}), options=EXACT)
    encoders.close()
    assert encoders.chinese is None


async def test_call_given_up_before_its_turn_is_never_run(bundle: Bundle) -> None:
    path = bundle.directory / "video_encoder" / "1" / "model.onnx"
    graph = OpenVINOGraph(path, precision="f32", options=EXACT)
    frames = np.zeros((2000, 4, 8, 8, 3), dtype=np.uint8)
    calls = [asyncio.ensure_future(graph.run({"frames": frames})) for _ in range(3)]
    await asyncio.sleep(0)
    calls[2].cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    graph.close()
    assert isinstance(done[2], asyncio.CancelledError)
    assert not any(isinstance(result, BaseException) for result in done[:2])


async def test_call_whose_time_is_up_before_its_turn_is_not_run(encoders: Encoders) -> None:
    assert encoders.chinese is not None
    over = TimeLimit.after(0.0)
    with pytest.raises(DeadlineExceededError, match="the deadline passed before the turn of video_encoder; allow more"):
        await encoders.video.encode_video(np.zeros((1, 4, 8, 8, 3), dtype=np.uint8), limit=over)
    for tower, name in ((encoders.english, "text_encoder_en"), (encoders.chinese, "text_encoder_zh")):
        with pytest.raises(DeadlineExceededError, match=f"the deadline passed before the turn of {name}"):
            await tower.encode_texts(["running"], template="{}", limit=over)


DROPPED_ON_ANOTHER_THREAD = """
import gc, os, signal, sys, threading
from pathlib import Path
from service.contract.manifest import open_bundle
from service.encoders.embedded import EngineOptions, load_embedded_encoders

signal.signal(signal.SIGCHLD, lambda number, frame: print("handled"))
held = [load_embedded_encoders(open_bundle(Path(sys.argv[1])), options=EngineOptions(num_threads=1))]

def drop():
    held.pop().close()
    gc.collect()

thread = threading.Thread(target=drop)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGCHLD)
"""


def test_signals_are_handled_after_another_thread_dropped_the_encoders(bundle: Bundle) -> None:
    command = [sys.executable, "-c", DROPPED_ON_ANOTHER_THREAD, str(bundle.directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["handled"])
