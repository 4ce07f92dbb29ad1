"""``POST /recognize``: a video and labels in, a ranking out."""

import asyncio
from contextlib import ExitStack
from functools import partial

from fastapi import APIRouter, Request, Response

from service.api.clients import name_client
from service.api.dependencies import Gateway, GatewayDep
from service.api.disconnect import until_disconnect
from service.api.fields import read_fields, read_question
from service.api.form import describe_form
from service.api.schemas import Answer, Problem, render_answer, render_json
from service.api.spool import SpooledFile
from service.api.uploads import Form, UploadTooSlowError, read_form
from service.contract.manifest import Bundle
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.predictions import Recognition

router = APIRouter()
_PROBLEMS = (400, 401, 404, 408, 413, 415, 422, 429, 503, 504, 507)


@router.post(
    "/recognize",
    response_model=Answer,
    responses={status: {"model": Problem} for status in _PROBLEMS},
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": describe_form()}}}},
)
async def recognize(request: Request, gateway: GatewayDep) -> Response:
    """Rank labels for a video, in English, in Chinese, or in both; or the classes of a closed vocabulary."""
    deadline = Deadline(request.state.started_at, gateway.limits.deadline_seconds)
    stopwatch = Stopwatch(started_at=request.state.started_at)
    client = name_client(request)
    gateway.rates.take(client)
    with ExitStack() as stack:
        with gateway.admission.upload(client), stopwatch.stage("upload"):
            file = stack.enter_context(gateway.spool.open())
            form = await _upload(request, file=file, gateway=gateway, deadline=deadline)
        stack.enter_context(gateway.admission.queue(client))
        request_id = request.state.request_id
        work = _recognize(form, gateway, client=client, request_id=request_id, deadline=deadline, stopwatch=stopwatch)
        answer, content = await until_disconnect(work, request=request)
    return _respond(answer, content, request=request, gateway=gateway, stopwatch=stopwatch)


async def _upload(request: Request, *, file: SpooledFile, gateway: Gateway, deadline: Deadline) -> Form:
    try:
        async with asyncio.timeout(deadline.remaining_seconds):
            return await read_form(request.stream(), file=file, headers=request.headers, limits=gateway.limits.form)
    except TimeoutError as error:
        raise UploadTooSlowError(
            f"the upload did not end within {deadline.limit_seconds:g} s; send a smaller video, or send it faster"
        ) from error


async def _recognize(
    form: Form, gateway: Gateway, *, client: str, request_id: str, deadline: Deadline, stopwatch: Stopwatch
) -> tuple[Answer, str]:
    answering = gateway.answering
    with stopwatch.stage("upload"):
        read = read_fields(form, limits=gateway.limits.fields)
    deadline = deadline.lowered_to(read.deadline_seconds)
    with stopwatch.stage("queue"):
        slot = await gateway.admission.take_slot(client, deadline=deadline)
    with slot:
        with stopwatch.stage("labels"):
            reading = partial(
                read_question,
                read,
                label_sets=answering.label_sets,
                limits=gateway.limits.fields,
                default_labels=answering.recognizer.classes,
            )
            async with deadline.guard("the reading of labels"):
                question = await answering.scoring.run(reading)
        recognition = await answering.recognizer.recognize(read.video, question, deadline=deadline, stopwatch=stopwatch)
        async with deadline.guard("the writing of the answer"):
            # Ten thousand ranked labels take a while to write.
            writing = partial(
                _write,
                recognition,
                bundle=answering.bundle,
                request_id=request_id,
                stopwatch=stopwatch,
            )
            written = await answering.scoring.run(writing)
    cache = recognition.cache
    gateway.metrics.count_cache(video_hit=cache.video_hit, label_hits=cache.label_hits, label_misses=cache.label_misses)
    return written


def _write(recognition: Recognition, *, bundle: Bundle, request_id: str, stopwatch: Stopwatch) -> tuple[Answer, str]:
    answer = render_answer(recognition, bundle=bundle, request_id=request_id, stopwatch=stopwatch)
    return answer, render_json(answer)


def _respond(answer: Answer, content: str, *, request: Request, gateway: Gateway, stopwatch: Stopwatch) -> Response:
    request.state.stages_ms = answer.timings_ms
    gateway.metrics.count_stages(stopwatch.seconds)
    timing = ", ".join(f"{stage};dur={milliseconds:.1f}" for stage, milliseconds in answer.timings_ms.items())
    return Response(content, media_type="application/json", headers={"Server-Timing": timing})
