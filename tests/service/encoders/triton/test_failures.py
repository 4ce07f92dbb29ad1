"""Every way in which Triton's client fails has a meaning for the request."""

import pytest
from tritonclient.utils import InferenceServerException

from service.contract.errors import (
    DeadlineExceededError,
    DuoActError,
    EncoderSilentError,
    EncoderUnavailableError,
    QueueFullError,
)
from service.encoders.triton.failures import TritonCall, translate_failure

CALL = TritonCall("video_encoder", limit_seconds=30.0)
REQUEST_CALL = TritonCall("video_encoder", limit_seconds=2.0, by_deadline=True)
# Status and wording as the server 2.51 and gRPC 1.85 give them.
FAILURES: list[tuple[str | None, str, TritonCall, type[DuoActError], str]] = [
    (
        "UNAVAILABLE",
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:8001: Connection refused",
        CALL,
        EncoderUnavailableError,
        "Triton cannot be reached for video_encoder; is it running, and is its address right?",
    ),
    (
        "UNAVAILABLE",
        "Socket closed",
        CALL,
        EncoderUnavailableError,
        "Triton cannot be reached for video_encoder; is it running, and is its address right?",
    ),
    (
        "UNKNOWN",
        "Stream removed",
        CALL,
        EncoderUnavailableError,
        "the connection to Triton broke while video_encoder was waited for; try again",
    ),
    (
        "UNAVAILABLE",
        "Server is stopping, scheduler for model has stopped accepting new inference requests",
        CALL,
        EncoderUnavailableError,
        "Triton is shutting down and takes no more calls of video_encoder",
    ),
    (
        "UNAVAILABLE",
        "[request id: 1] Exceeds maximum queue size",
        CALL,
        QueueFullError,
        "the queue of video_encoder is full; send fewer requests at a time, or try again later",
    ),
    (
        "UNAVAILABLE",
        "Request timeout expired",
        REQUEST_CALL,
        DeadlineExceededError,
        "the deadline passed while video_encoder was waited for; send a shorter video or fewer labels, or try again "
        "when the service is less busy",
    ),
    (
        "DEADLINE_EXCEEDED",
        "Deadline Exceeded",
        REQUEST_CALL,
        DeadlineExceededError,
        "the deadline passed while video_encoder was waited for; send a shorter video or fewer labels, or try again "
        "when the service is less busy",
    ),
    (
        "DEADLINE_EXCEEDED",
        "Deadline Exceeded",
        CALL,
        EncoderSilentError,
        "Triton did not answer for video_encoder within 30 s",
    ),
    (
        "CANCELLED",
        "RPC cancelled",
        CALL,
        EncoderUnavailableError,
        "Triton gave the call of video_encoder up; try again",
    ),
    (
        "UNAVAILABLE",
        "Request for unknown model: 'video_encoder' version 1 is not at ready state",
        CALL,
        EncoderUnavailableError,
        "video_encoder is not ready on Triton; wait for it, or load it there",
    ),
    (
        "NOT_FOUND",
        "Request for unknown model: 'video_encoder' has no available versions",
        CALL,
        EncoderUnavailableError,
        "Triton has no video_encoder to offer: Request for unknown model: 'video_encoder' has no available versions; "
        "load the model there",
    ),
    (
        "INVALID_ARGUMENT",
        "unexpected shape for input 'frames'",
        CALL,
        EncoderUnavailableError,
        "Triton refuses what the bundle prescribes for video_encoder: unexpected shape for input 'frames'; give both "
        "the same bundle",
    ),
    (
        "INVALID_ARGUMENT",
        "inference input 'frames' data-type is 'INT32', but model 'video_encoder' expects 'UINT8'",
        CALL,
        EncoderUnavailableError,
        "Triton refuses what the bundle prescribes for video_encoder: inference input 'frames' data-type is 'INT32', "
        "but model 'video_encoder' expects 'UINT8'; give both the same bundle",
    ),
    (
        "RESOURCE_EXHAUSTED",
        "out of memory",
        CALL,
        EncoderUnavailableError,
        "video_encoder is too much for Triton: out of memory; send fewer views or labels",
    ),
    (
        "UNAVAILABLE",
        "This protocol is restricted, expecting header 'triton-grpc-protocol-key'",
        CALL,
        EncoderUnavailableError,
        "Triton does not let this service use video_encoder; allow it there",
    ),
    (
        "UNAVAILABLE",
        "failed to connect to all addresses; last error: UNKNOWN: Ssl handshake failed: CERTIFICATE_VERIFY_FAILED",
        CALL,
        EncoderUnavailableError,
        "Triton's certificate or ours is not accepted; check the PEM files on both sides",
    ),
    (
        "UNAUTHENTICATED",
        "no token",
        CALL,
        EncoderUnavailableError,
        "Triton does not know this service; check the credentials",
    ),
    (
        "PERMISSION_DENIED",
        "no",
        CALL,
        EncoderUnavailableError,
        "Triton does not let this service use video_encoder; allow it there",
    ),
    (
        "INTERNAL",
        "Stub process 'video_encoder_0_0' is not healthy.",
        CALL,
        EncoderUnavailableError,
        "video_encoder failed on Triton (INTERNAL): Stub process 'video_encoder_0_0' is not healthy.",
    ),
    (
        None,
        "got unexpected datatype",
        CALL,
        EncoderUnavailableError,
        "video_encoder failed on Triton (no status): got unexpected datatype",
    ),
]


@pytest.mark.parametrize(("status", "wording", "call", "kind", "message"), FAILURES)
def test_failure_has_a_meaning(
    status: str | None, wording: str, call: TritonCall, kind: type[DuoActError], message: str
) -> None:
    failure = InferenceServerException(wording, status and f"StatusCode.{status}")
    translated = translate_failure(failure, call=call)
    assert (type(translated), str(translated)) == (kind, message)


def test_full_queue_says_when_to_come_back() -> None:
    failure = InferenceServerException("Exceeds maximum queue size", "StatusCode.UNAVAILABLE")
    translated = translate_failure(failure, call=CALL)
    assert isinstance(translated, QueueFullError)
    assert translated.retry_after_seconds == 1.0
