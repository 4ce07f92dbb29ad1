"""The Triton engine against a server in this process: what is sent, what is believed, and how failures come out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import structlog

from service.contract.errors import DeadlineExceededError, EncoderUnavailableError, QueueFullError
from service.contract.manifest import Bundle, open_bundle
from service.encoders.base import Encoders
from service.encoders.time_limit import TimeLimit
from service.encoders.triton.connection import TlsFiles
from service.encoders.triton.engine import TritonOptions, load_triton_encoders
from tests.end_to_end.server import free_port
from tests.service.encoders.triton.stand_in import TritonStandIn, serve_stand_in
from tests.tiny_graphs import golden_vectors, write_tiny_bundle

GOLDEN = golden_vectors()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@dataclass(frozen=True)
class Pair:
    """A server in this process and encoders that ask it."""

    server: TritonStandIn
    encoders: Encoders


@pytest.fixture
async def pair(bundle: Bundle) -> AsyncIterator[Pair]:
    async with serve_stand_in(bundle) as (server, address):
        encoders = load_triton_encoders(bundle, options=TritonOptions(address))
        yield Pair(server, encoders)
        encoders.close()


async def test_golden_vectors_come_back(pair: Pair) -> None:
    await pair.encoders.check()
    assert [request.model_name for request in pair.server.requests] == [
        "video_encoder",
        "text_encoder_en",
        "text_encoder_zh",
    ]


async def test_tensors_travel_as_bytes_with_the_id_of_the_request(pair: Pair) -> None:
    with structlog.contextvars.bound_contextvars(request_id="question-7"):
        features = await pair.encoders.video.encode_video(GOLDEN["frames"])
    np.testing.assert_array_equal(features, GOLDEN["frame_features"])
    [request] = pair.server.requests
    assert (request.id, request.model_version) == ("question-7", "1")
    assert [(each.name, each.datatype, list(each.shape)) for each in request.inputs] == [
        ("frames", "UINT8", [2, 4, 8, 8, 3])
    ]
    assert list(request.raw_input_contents) == [GOLDEN["frames"].tobytes()]


async def test_time_that_the_request_leaves_is_the_calls_deadline(pair: Pair) -> None:
    await pair.encoders.video.encode_video(GOLDEN["frames"], limit=TimeLimit.after(2.0))
    # The stand-in answers any text alike, which is noticed; what counts is how long it was waited for.
    with pytest.raises(EncoderUnavailableError, match="1 rows are expected"):
        await pair.encoders.english.encode_texts(["running"], template="{}", limit=TimeLimit.after(3.0))
    await pair.encoders.video.encode_video(GOLDEN["frames"])
    assert [round(seconds) for seconds in pair.server.remaining_seconds] == [2, 3, 30]
    assert [round(each.parameters["timeout"].int64_param / 1e6) for each in pair.server.requests] == [2, 3, 30]


async def test_call_given_up_is_cancelled_on_the_server(pair: Pair) -> None:
    pair.server.delay_seconds = 30.0
    call = asyncio.create_task(pair.encoders.video.encode_video(GOLDEN["frames"]))
    while not pair.server.requests:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    while not pair.server.num_cancelled:
        await asyncio.sleep(0.01)


async def test_deadline_of_the_request_ends_the_call(pair: Pair) -> None:
    pair.server.delay_seconds = 30.0
    with pytest.raises(DeadlineExceededError, match="deadline passed while video_encoder was waited"):
        await pair.encoders.video.encode_video(GOLDEN["frames"], limit=TimeLimit.after(0.2))


async def test_request_without_time_asks_nothing(pair: Pair) -> None:
    with pytest.raises(DeadlineExceededError, match="deadline passed before video_encoder was asked"):
        await pair.encoders.video.encode_video(GOLDEN["frames"], limit=TimeLimit.after(0.0))
    assert pair.server.requests == []


async def test_server_that_never_answers_is_unavailable(bundle: Bundle) -> None:
    async with serve_stand_in(bundle) as (server, address):
        server.delay_seconds = 30.0
        encoders = load_triton_encoders(bundle, options=TritonOptions(address, timeout_seconds=0.2))
        with pytest.raises(EncoderUnavailableError, match=r"did not answer for text_encoder_en within 0\.2 s"):
            await encoders.english.encode_texts(["running"], template="{}")


async def test_views_of_a_video_are_asked_for_at_once_and_keep_their_order(pair: Pair) -> None:
    pair.server.delay_seconds = 0.2
    calls = asyncio.create_task(pair.encoders.video.encode_video(np.zeros((19, 4, 8, 8, 3), dtype=np.uint8)))
    await asyncio.sleep(0.1)
    assert [request.inputs[0].shape[0] for request in pair.server.requests] == [4, 4, 4, 4]
    with pytest.raises(EncoderUnavailableError, match="3 axes and 4 rows are expected"):
        await calls


async def test_failure_of_the_server_is_translated(pair: Pair) -> None:
    pair.server.error = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    with pytest.raises(QueueFullError, match="queue of video_encoder is full"):
        await pair.encoders.video.encode_video(GOLDEN["frames"])


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("frame_features", GOLDEN["frame_features"][:1], "3 axes and 2 rows are expected"),
        ("frame_features", GOLDEN["frame_features"] * np.float32("nan"), "not finite"),
        ("words", GOLDEN["words"][:, :1], r"text_encoder_en words has shape \(2, 1, 16\)"),
        ("embedding_zh", GOLDEN["embedding_zh"] + np.float32(0.01), "departs from the golden answer by 1.00e-02"),
    ],
)
async def test_canary_notices_a_wrong_model(pair: Pair, name: str, array: np.ndarray, message: str) -> None:
    pair.server.outputs[name] = array
    with pytest.raises(EncoderUnavailableError, match=message):
        await pair.encoders.check()


async def test_answer_that_contradicts_itself_is_refused(pair: Pair) -> None:
    pair.server.outputs["frame_features"] = GOLDEN["frame_features"].astype(np.float64)
    with pytest.raises(EncoderUnavailableError, match="answer for video_encoder cannot be read: cannot reshape"):
        await pair.encoders.video.encode_video(GOLDEN["frames"])


async def test_model_of_another_shape_is_named_with_both_sides(pair: Pair) -> None:
    pair.server.shapes["eot_index"] = [-1, 1]
    expected = (
        r"text_encoder_en on Triton has the inputs eot_index INT32 \[-1, 1\], token_ids INT32 \[-1, -1\], "
        r"the bundle has eot_index INT32 \[-1\], token_ids INT32 \[-1, -1\]; give both the same bundle"
    )
    with pytest.raises(EncoderUnavailableError, match=expected):
        await pair.encoders.check()
    assert pair.server.requests == []


async def test_version_that_is_not_served_is_named(pair: Pair) -> None:
    pair.server.versions = ("2", "3")
    with pytest.raises(
        EncoderUnavailableError, match="video_encoder version 1 is not ready on Triton, which itself is"
    ):
        await pair.encoders.check()


async def test_server_may_choose_the_version(bundle: Bundle) -> None:
    async with serve_stand_in(bundle) as (server, address):
        server.versions = ("2", "3")
        encoders = load_triton_encoders(bundle, options=TritonOptions(address, model_version=""))
        await encoders.check()
        assert {request.model_version for request in server.requests} == {""}


async def test_server_that_is_not_ready_says_so(pair: Pair) -> None:
    pair.server.is_ready = False
    with pytest.raises(EncoderUnavailableError, match="which itself is not ready; load the model there"):
        await pair.encoders.check()


async def test_nobody_at_the_address(bundle: Bundle) -> None:
    encoders = load_triton_encoders(bundle, options=TritonOptions(f"127.0.0.1:{free_port()}"))
    with pytest.raises(EncoderUnavailableError, match="Triton cannot be reached for video_encoder; is it running"):
        await encoders.check()


async def test_closed_connection_is_refused(pair: Pair) -> None:
    pair.encoders.close()
    with pytest.raises(EncoderUnavailableError, match="connection to Triton was closed"):
        await pair.encoders.check()


async def test_missing_certificate_is_named(bundle: Bundle, tmp_path: Path) -> None:
    tls = TlsFiles(root_certificates=tmp_path / "gone.pem")
    encoders = load_triton_encoders(bundle, options=TritonOptions("127.0.0.1:1", tls=tls))
    with pytest.raises(EncoderUnavailableError, match=r"gone.pem cannot be read: No such file or directory"):
        await encoders.check()


async def test_untrained_chinese_tower_is_not_asked(bundle: Bundle) -> None:
    manifest = bundle.manifest
    scoring = manifest.scoring.model_copy(update={"fusion": manifest.scoring.fusion.model_copy(update={"value": 1.0})})
    english_only = bundle.model_copy(
        update={"manifest": manifest.model_copy(update={"chinese": None, "scoring": scoring})}
    )
    async with serve_stand_in(bundle) as (server, address):
        encoders = load_triton_encoders(english_only, options=TritonOptions(address))
        await encoders.check()
        assert encoders.chinese is None
        assert {request.model_name for request in server.requests} == {"video_encoder", "text_encoder_en"}
