"""Prometheus and Grafana ask for metrics that exist."""

import json
import re
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import Service
from tests.docker.files import DOCKER, read_compose

# What Triton 24.10 serves of what we ask for (its documentation, "Metrics").
_TRITON = {
    "nv_gpu_memory_total_bytes",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_utilization",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_pending_request_count",
    "nv_inference_queue_duration_us",
    "nv_inference_request_failure",
    "nv_inference_request_success",
}
_DASHBOARD = DOCKER / "grafana" / "dashboards" / "duoact.json"
_READERS = [
    _DASHBOARD,
    DOCKER / "prometheus" / "rules.yml",
    DOCKER / "kubernetes" / "gateway-scaling.yaml",
    DOCKER / "kubernetes" / "triton-scaling.yaml",
    DOCKER / "kubernetes" / "prometheus-adapter-values.yaml",
]


def _read_names(path: Path) -> set[str]:
    return set(re.findall(r"\b(?:duoact|nv)_[a-z0-9_]+", path.read_text(encoding="utf-8")))


async def _serve_metrics(service: Service) -> set[str]:
    """The names of every series, after a recognition and a refusal."""
    for labels in (json.dumps(["a"]), "[]"):
        await service.client.post("/recognize", files={"video": ("a", b"pixels")}, data={"labels": labels})
    response: httpx.Response = await service.client.get("/metrics")
    return set(re.findall(r"^([a-z_]+)[ {]", response.text, flags=re.MULTILINE))


@pytest.mark.parametrize("path", _READERS, ids=lambda path: path.name)
async def test_every_metric_that_is_read_exists(path: Path, service: Service) -> None:
    names = _read_names(path)
    assert names
    assert names <= _TRITON | await _serve_metrics(service)


def test_panels_have_numbers_places_and_a_provisioned_source_of_their_own() -> None:
    panels = json.loads(_DASHBOARD.read_text(encoding="utf-8"))["panels"]
    folder = DOCKER / "grafana" / "provisioning" / "datasources"
    (source,) = yaml.safe_load((folder / "prometheus.yaml").read_text(encoding="utf-8"))["datasources"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {source["uid"]}


def test_dashboards_are_where_grafana_looks() -> None:
    folder = DOCKER / "grafana" / "provisioning" / "dashboards"
    (provider,) = yaml.safe_load((folder / "duoact.yaml").read_text(encoding="utf-8"))["providers"]
    mounts = read_compose()["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_prometheus_looks_for_names_of_the_composition() -> None:
    jobs = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    services = read_compose()["services"]
    aliases = {
        alias
        for service in services.values()
        if isinstance(service["networks"], dict)
        for network in service["networks"].values()
        for alias in network.get("aliases", ())
    }
    asked = {name for job in jobs for config in job["dns_sd_configs"] for name in config["names"]}
    assert asked == {"gateways", "triton"}
    assert asked <= {*services, *aliases}
