"""What the failures of Triton's client mean to a request: one table, from status and wording to an error of ours.

Messages name the model and the cause, never the server's address: they travel to clients, and the log has the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tritonclient.utils import InferenceServerException

from service.contract.errors import (
    DeadlineExceededError,
    DuoActError,
    EncoderSilentError,
    EncoderUnavailableError,
    QueueFullError,
)

# A queue that is full now has moved on after an execution or two.
_RETRY_AFTER_SECONDS = 1.0


@dataclass(frozen=True)
class TritonCall:
    """One call that failed: the model, how long it could take, and whether the request's deadline set that limit."""

    model: str
    limit_seconds: float
    by_deadline: bool = False


@dataclass(frozen=True)
class _Row:
    """Failures of one status whose message holds ``wording``, in any case of letters."""

    status: str
    wording: str
    translate: Callable[[TritonCall, str], DuoActError]


def translate_failure(error: InferenceServerException, *, call: TritonCall) -> DuoActError:
    """Say in our terms why a call failed; what no row knows makes the encoder unavailable."""
    status = str(error.status() or "").removeprefix("StatusCode.")
    message = error.message() or ""
    for row in _ROWS:
        if row.status in ("", status) and row.wording in message.lower():
            return row.translate(call, message)
    return EncoderUnavailableError(f"{call.model} failed on Triton ({status or 'no status'}): {message}")


def _time_is_up(call: TritonCall, _: str) -> DuoActError:
    if call.by_deadline:
        return DeadlineExceededError(
            f"the deadline passed while {call.model} was waited for; send a shorter video or fewer labels, or try "
            "again when the service is less busy"
        )
    return EncoderSilentError(f"Triton did not answer for {call.model} within {call.limit_seconds:.3g} s")


def _queue_is_full(call: TritonCall, _: str) -> DuoActError:
    return QueueFullError(
        f"the queue of {call.model} is full; send fewer requests at a time, or try again later", _RETRY_AFTER_SECONDS
    )


def _says(sentence: str) -> Callable[[TritonCall, str], DuoActError]:
    """An unavailable encoder, for the reason that a sentence with {model} and {message} gives."""

    def translate(call: TritonCall, message: str) -> DuoActError:
        return EncoderUnavailableError(sentence.format(model=call.model, message=message))

    return translate


_ROWS = (
    _Row("UNAVAILABLE", "exceeds maximum queue size", _queue_is_full),
    # The server's own time limit, from the same deadline.
    _Row("", "request timeout expired", _time_is_up),
    _Row("DEADLINE_EXCEEDED", "", _time_is_up),
    _Row("", "protocol is restricted", _says("Triton does not let this service use {model}; allow it there")),
    _Row("UNAVAILABLE", "stopping", _says("Triton is shutting down and takes no more calls of {model}")),
    _Row("UNAVAILABLE", "ready", _says("{model} is not ready on Triton; wait for it, or load it there")),
    _Row(
        "UNAVAILABLE", "ssl", _says("Triton's certificate or ours is not accepted; check the PEM files on both sides")
    ),
    _Row("UNAVAILABLE", "", _says("Triton cannot be reached for {model}; is it running, and is its address right?")),
    _Row("", "stream removed", _says("the connection to Triton broke while {model} was waited for; try again")),
    _Row("CANCELLED", "", _says("Triton gave the call of {model} up; try again")),
    _Row("NOT_FOUND", "", _says("Triton has no {model} to offer: {message}; load the model there")),
    _Row(
        "INVALID_ARGUMENT",
        "",
        _says("Triton refuses what the bundle prescribes for {model}: {message}; give both the same bundle"),
    ),
    _Row("RESOURCE_EXHAUSTED", "", _says("{model} is too much for Triton: {message}; send fewer views or labels")),
    _Row("UNAUTHENTICATED", "", _says("Triton does not know this service; check the credentials")),
    _Row("PERMISSION_DENIED", "", _says("Triton does not let this service use {model}; allow it there")),
)
