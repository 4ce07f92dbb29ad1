"""What operators and clients ask about the service itself: liveness, readiness, metrics, the bundle."""

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from service.api.dependencies import GatewayDep, require_api_key
from service.api.schemas import Health
from service.contract.manifest import Manifest

router = APIRouter()


@router.get("/healthz", response_model=Health, responses={503: {"model": Health}})
async def healthz(gateway: GatewayDep) -> JSONResponse:
    """Say that the service lives, or why it should be replaced."""
    death = gateway.readiness.find_death()
    health = Health(status="ok") if death is None else Health(status="dead", missing=(death,))
    return JSONResponse(health.model_dump(), status_code=200 if death is None else 503)


@router.get("/readyz", response_model=Health, responses={503: {"model": Health}})
async def readyz(gateway: GatewayDep) -> JSONResponse:
    """Say whether the service is ready, or what is missing."""
    missing = gateway.readiness.missing()
    health = Health(status="not ready" if missing else "ok", missing=missing)
    return JSONResponse(health.model_dump(), status_code=503 if missing else 200)


@router.get("/metrics", dependencies=[Depends(require_api_key)], response_class=Response)
async def metrics(gateway: GatewayDep) -> Response:
    """Metrics in the Prometheus text format."""
    return Response(gateway.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/bundle", dependencies=[Depends(require_api_key)], response_model=Manifest)
async def bundle(gateway: GatewayDep) -> JSONResponse:
    """The manifest of the bundle that is served; its SHA-256 is the ETag."""
    content = gateway.answering.bundle.manifest.to_json()
    return JSONResponse(content, headers={"ETag": f'"{gateway.answering.bundle.digest}"'})
