"""Around every request: ids, headers, one log line, one metric."""

import json

import pytest
import structlog

from service.api.context import RequestContext, read_request_id
from service.telemetry.metrics import Metrics
from tests.conftest import Service
from tests.service.api.test_disconnect import SCOPE


async def test_harmless_request_id_is_kept(service: Service) -> None:
    response = await service.client.get("/healthz", headers={"X-Request-ID": "abc-1.2_X"})
    assert response.headers["x-request-id"] == "abc-1.2_X"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 65, "a\nb", "中"])
def test_other_request_ids_are_replaced(given: str | None) -> None:
    made = read_request_id(given)
    assert made != given
    assert len(made) == 16


async def test_log_has_one_line_a_request_and_no_label(service: Service) -> None:
    with structlog.testing.capture_logs() as lines:
        files, data = {"video": ("secret.mp4", b"pixels")}, {"labels": json.dumps(["hidden label"])}
        response = await service.client.post("/recognize", files=files, data=data)
        await service.client.post("/recognize", files=files, data={"labels": "[]"})
        await service.client.get("/secret/path")
    answered, refused, lost = lines
    assert {**answered, "milliseconds": 0} == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "route": "/recognize",
        "status": 200,
        "problem": None,
        "milliseconds": 0,
        "stages_ms": response.json()["timings_ms"],
    }
    assert (refused["status"], refused["problem"]) == (422, "labels")
    assert (lost["status"], lost["route"]) == (404, "none")
    assert not any(word in str(lines) for word in ("hidden", "secret"))


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/healthz"])
async def test_page_may_load_nothing_from_elsewhere(service: Service, path: str) -> None:
    headers = (await service.client.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' data: blob:")
    assert headers["x-content-type-options"] == "nosniff"


async def test_api_documentation_may_load_its_script(service: Service) -> None:
    response = await service.client.get("/docs")
    assert response.status_code == 200
    assert "cdn.jsdelivr.net" in response.headers["content-security-policy"]


async def test_answer_that_breaks_off_half_way_is_not_followed_by_another() -> None:
    async def broken(_scope: object, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        raise KeyError("half way")

    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    with pytest.raises(KeyError):
        await RequestContext(broken, metrics=Metrics())(dict(SCOPE), None, send)  # type: ignore[arg-type]
    assert len(sent) == 1


async def test_other_protocols_pass_untouched() -> None:
    seen = []

    async def inner(scope: object, _receive: object, _send: object) -> None:
        seen.append(scope)

    await RequestContext(inner, metrics=Metrics())({"type": "websocket"}, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": "websocket"}]
