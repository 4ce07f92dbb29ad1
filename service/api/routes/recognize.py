"""``POST /recognize``: a video and labels in, a ranking out."""

from fastapi import APIRouter, Request, Response

from service.api.dependencies import Gateway, GatewayDep
from service.api.disconnect import until_disconnect
from service.api.fields import read_request
from service.api.form import describe_form
from service.api.schemas import Answer, Problem, render_answer, render_json
from service.api.uploads import Form, read_form
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.predictions import Recognition

router = APIRouter()
_PROBLEMS = (400, 401, 404, 413, 415, 422, 429, 503, 504, 507)


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
    async with gateway.admission.admit():
        with gateway.spool.open() as file:
            with stopwatch.stage("upload"):
                async with deadline.guard("the upload"):
                    form = await read_form(
                        request.stream(), file=file, headers=request.headers, limits=gateway.limits.form
                    )
            work = _recognize(form, gateway, deadline=deadline, stopwatch=stopwatch)
            recognition = await until_disconnect(work, request=request)
    answer = render_answer(
        recognition, bundle=gateway.answering.bundle, request_id=request.state.request_id, stopwatch=stopwatch
    )
    return _respond(answer, request=request, gateway=gateway, stopwatch=stopwatch)


async def _recognize(form: Form, gateway: Gateway, *, deadline: Deadline, stopwatch: Stopwatch) -> Recognition:
    with stopwatch.stage("upload"):
        asked = read_request(
            form,
            label_sets=gateway.answering.label_sets,
            limits=gateway.limits.fields,
            default_labels=gateway.answering.recognizer.classes,
        )
    deadline = deadline.lowered_to(asked.deadline_seconds)
    with stopwatch.stage("queue"):
        slot = await gateway.admission.take_slot(deadline=deadline)
    with slot:
        recognition = await gateway.answering.recognizer.recognize(
            asked.video, asked.question, deadline=deadline, stopwatch=stopwatch
        )
    cache = recognition.cache
    gateway.metrics.count_cache(video_hit=cache.video_hit, label_hits=cache.label_hits, label_misses=cache.label_misses)
    return recognition


def _respond(answer: Answer, *, request: Request, gateway: Gateway, stopwatch: Stopwatch) -> Response:
    request.state.stages_ms = answer.timings_ms
    gateway.metrics.count_stages(stopwatch.seconds)
    timing = ", ".join(f"{stage};dur={milliseconds:.1f}" for stage, milliseconds in answer.timings_ms.items())
    return Response(render_json(answer), media_type="application/json", headers={"Server-Timing": timing})
