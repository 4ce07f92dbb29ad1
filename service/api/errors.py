"""From exceptions to RFC 9457 problem documents: one table, and the handlers that read it."""

from dataclasses import dataclass
from http import HTTPStatus
from math import ceil

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.api.access import UnauthorizedError
from service.api.uploads import UploadTooSlowError
from service.contract.errors import (
    BundleError,
    DeadlineExceededError,
    DecoderUnavailableError,
    DuoActError,
    EncoderSilentError,
    EncoderUnavailableError,
    ImpossibleRequestError,
    LabelError,
    LanguageError,
    MalformedRequestError,
    NotFoundError,
    QueueFullError,
    StorageFullError,
    StorageUnavailableError,
    UndecodableVideoError,
    UnsupportedVideoError,
    VideoError,
    VideoTooLargeError,
)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 5
# Of a call that there is not, so much is repeated.
_NUM_SHOWN = 128
# What is wrong with the service itself, and so perhaps with all further requests.
_DOUBTED = (EncoderUnavailableError, DecoderUnavailableError, StorageFullError, StorageUnavailableError)
_RETRIED = (*_DOUBTED, BundleError)


@dataclass(frozen=True)
class ProblemKind:
    """One row of the table; ``field`` is the form field at fault where the kind of error tells."""

    status: int
    type: str
    title: str
    field: str | None = None


PROBLEMS: dict[type[DuoActError], ProblemKind] = {
    MalformedRequestError: ProblemKind(400, "malformed-request", "The request cannot be read"),
    UnauthorizedError: ProblemKind(401, "unauthorized", "An API key is needed"),
    NotFoundError: ProblemKind(404, "not-found", "Not stored here"),
    UploadTooSlowError: ProblemKind(408, "upload-too-slow", "The upload took too long"),
    VideoTooLargeError: ProblemKind(413, "video-too-large", "The video exceeds a limit", "video"),
    UnsupportedVideoError: ProblemKind(415, "unsupported-video", "The file is not an accepted video", "video"),
    UndecodableVideoError: ProblemKind(422, "undecodable-video", "The video yields no usable frames", "video"),
    VideoError: ProblemKind(422, "video", "The video cannot be used", "video"),
    LabelError: ProblemKind(422, "labels", "The labels cannot be used", "labels"),
    LanguageError: ProblemKind(422, "languages", "The labels' languages do not fit the request", "labels"),
    ImpossibleRequestError: ProblemKind(422, "impossible-request", "The request cannot be answered"),
    QueueFullError: ProblemKind(429, "queue-full", "Too many requests are waiting"),
    BundleError: ProblemKind(503, "bundle", "The bundle cannot be used"),
    EncoderUnavailableError: ProblemKind(503, "encoder-unavailable", "The encoder is not available"),
    EncoderSilentError: ProblemKind(503, "encoder-unavailable", "The encoder is not available"),
    DecoderUnavailableError: ProblemKind(503, "decoder-unavailable", "The decoder is not available"),
    StorageUnavailableError: ProblemKind(503, "storage-unavailable", "Uploads cannot be stored"),
    DeadlineExceededError: ProblemKind(504, "deadline-exceeded", "The deadline passed"),
    StorageFullError: ProblemKind(507, "storage-full", "There is no room for the upload"),
}
INTERNAL = ProblemKind(500, "internal", "Internal error")


def kind_of(error: DuoActError) -> ProblemKind:
    """Look up an error's row: its own class's, or the nearest base class's."""
    return next((PROBLEMS[base] for base in type(error).__mro__ if base in PROBLEMS), INTERNAL)


def render_problem(
    kind: ProblemKind, *, detail: str, request: Request, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Render a problem document and note its type for the log and the metrics."""
    request.state.problem_type = kind.type
    body = {
        "type": f"urn:duoact:problem:{kind.type}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": request.state.request_id,
    }
    if kind.field is not None:
        body["field"] = kind.field
    return JSONResponse(body, status_code=kind.status, media_type=MEDIA_TYPE, headers=headers)


def render_internal_error(request: Request) -> JSONResponse:
    """Say that something failed here, and nothing else: the log has the rest under the request id."""
    return render_problem(
        INTERNAL, detail="something failed here; give the request id when you report it", request=request
    )


async def answer_duoact_error(request: Request, error: DuoActError) -> JSONResponse:
    """Answer an error of ours from the table; one without a row is a fault of the service."""
    if kind_of(error) is INTERNAL:
        raise error
    if isinstance(error, _DOUBTED):
        request.app.state.gateway.readiness.doubt()
    return render_problem(kind_of(error), detail=str(error), request=request, headers=_headers(error))


async def answer_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """Answer an error of the framework: no such path, or not with this method."""
    phrase = HTTPStatus(error.status_code).phrase
    kind = ProblemKind(error.status_code, phrase.lower().replace(" ", "-"), phrase)
    call = f"{request.method[:_NUM_SHOWN]} {request.url.path[:_NUM_SHOWN]}"
    detail = f"{call}: {error.detail}; the calls there are stand at /docs"
    return render_problem(kind, detail=detail, request=request, headers=dict(error.headers or {}))


async def answer_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a parameter that the framework could not read."""
    detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return render_problem(PROBLEMS[MalformedRequestError], detail=detail, request=request)


def install_error_handlers(app: FastAPI) -> None:
    """Let every refused request leave as a problem document."""
    app.exception_handler(DuoActError)(answer_duoact_error)
    app.exception_handler(HTTPException)(answer_http_exception)
    app.exception_handler(RequestValidationError)(answer_validation_error)


def _headers(error: DuoActError) -> dict[str, str]:
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, QueueFullError):
        return {"Retry-After": str(max(ceil(error.retry_after_seconds), 1))}
    if isinstance(error, _RETRIED):
        return {"Retry-After": str(_RETRY_AFTER_SECONDS)}
    return {}
