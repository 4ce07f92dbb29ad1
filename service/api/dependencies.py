"""What routes are given: the parts that the composition root put together, and the check of API keys."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.api.access import AcceptedKeys
from service.api.admission import Admission
from service.api.fields import FieldLimits
from service.api.rates import Rates
from service.api.spool import Spool
from service.api.uploads import FormLimits
from service.recognition.answering import Answering
from service.recognition.readiness import Readiness
from service.telemetry.metrics import Metrics


@dataclass(frozen=True)
class GatewayLimits:
    """What one request may cost in HTTP terms."""

    form: FormLimits
    fields: FieldLimits
    deadline_seconds: float


@dataclass(frozen=True)
class Gateway:
    """Everything that routes use."""

    answering: Answering
    readiness: Readiness
    rates: Rates
    admission: Admission
    spool: Spool
    metrics: Metrics
    limits: GatewayLimits
    api_keys: AcceptedKeys


def find_gateway(request: Request) -> Gateway:
    """Find the gateway of the application that serves a request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


GatewayDep = Annotated[Gateway, Depends(find_gateway)]


def require_api_key(request: Request, gateway: GatewayDep) -> None:
    """Refuse a request without an accepted API key, where some are set."""
    gateway.api_keys.check(request.headers.get("authorization"))
