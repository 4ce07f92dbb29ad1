"""The Kubernetes manifests: valid by the schemas, locked down, and consistent with each other."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings
from tests.docker.files import DOCKER, read_compose

_FOLDER = DOCKER / "kubernetes"
_KUSTOMIZATION = yaml.safe_load((_FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
_FILES = [name for name in _KUSTOMIZATION["resources"] if name.endswith(".yaml")]
_MANIFESTS: dict[str, dict[str, Any]] = {
    f"{manifest['kind']}/{manifest['metadata']['name']}": manifest
    for name in _FILES
    for manifest in yaml.safe_load_all((_FOLDER / name).read_text(encoding="utf-8"))
}
_DEPLOYMENTS = ["gateway", "triton", "redis"]


def _pod(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = _MANIFESTS[f"Deployment/{name}"]["spec"]["template"]["spec"]
    return pod


def _ports(name: str) -> set[str]:
    return {port["name"] for container in _pod(name)["containers"] for port in container["ports"]}


@pytest.mark.parametrize("name", _MANIFESTS)
@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
def test_manifest_is_valid_by_the_schema(name: str, version: str) -> None:
    kubernetes_validate.validate(_MANIFESTS[name], version, strict=True)


def test_schema_checker_finds_a_misspelt_field() -> None:
    wrong = {**_MANIFESTS["Service/gateway"], "spec": {"selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_kustomization_names_every_manifest() -> None:
    unlisted = {"kustomization.yaml", "prometheus-adapter-values.yaml"}
    assert {*_FILES, *unlisted} == {path.name for path in _FOLDER.iterdir()}


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_pod_is_allowed_by_the_restricted_standard(name: str) -> None:
    pod = _pod(name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [container["securityContext"] for container in pod["containers"]] == [
        {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ]


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_pod_gets_no_variable_that_looks_like_a_setting(name: str) -> None:
    assert _pod(name)["enableServiceLinks"] is False


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_selectors_find_the_pod(name: str) -> None:
    labels = _MANIFESTS[f"Deployment/{name}"]["spec"]["template"]["metadata"]["labels"]
    selectors = [_MANIFESTS[f"Deployment/{name}"]["spec"]["selector"]["matchLabels"]]
    selectors.append(_MANIFESTS[f"Service/{name}"]["spec"]["selector"])
    selectors.append(_MANIFESTS[f"NetworkPolicy/{name}"]["spec"]["podSelector"]["matchLabels"])
    if budget := _MANIFESTS.get(f"PodDisruptionBudget/{name}"):
        selectors.append(budget["spec"]["selector"]["matchLabels"])
    assert all(selector.items() <= labels.items() for selector in selectors)


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_probes_services_and_rules_name_ports_of_the_pod(name: str) -> None:
    (container,) = _pod(name)["containers"]
    probes = [container[key] for key in container if key.endswith("Probe")]
    asked = [probe.get("httpGet", probe.get("tcpSocket")) for probe in probes]
    rules = _MANIFESTS[f"NetworkPolicy/{name}"]["spec"]["ingress"]
    named = {each["port"] for each in asked if each is not None}
    named |= {port["targetPort"] for port in _MANIFESTS[f"Service/{name}"]["spec"]["ports"]}
    named |= {port["port"] for rule in rules for port in rule["ports"]}
    assert named <= _ports(name)


def test_gateway_asks_liveness_and_readiness_apart() -> None:
    (container,) = _pod("gateway")["containers"]
    paths = {key: container[key]["httpGet"]["path"] for key in container if key.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_gateway_has_longer_to_end_than_it_takes_to_drain() -> None:
    settings = _MANIFESTS["ConfigMap/gateway-settings"]["data"]
    drain = float(settings["DUOACT_DRAIN_DELAY_SECONDS"]) + float(settings["DUOACT_DRAIN_LIMIT_SECONDS"])
    assert _pod("gateway")["terminationGracePeriodSeconds"] > drain


def test_gateway_s_settings_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _MANIFESTS["ConfigMap/gateway-settings"]["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.triton, settings.workers, settings.max_queue_length) == ("triton:8001", 4, 16)


@pytest.mark.parametrize("name", ["gateway", "triton"])
def test_autoscaler_follows_a_queue_that_the_adapter_knows(name: str) -> None:
    adapter = yaml.safe_load((_FOLDER / "prometheus-adapter-values.yaml").read_text(encoding="utf-8"))
    known = {rule["name"]["matches"] for rule in adapter["rules"]["custom"]}
    scaler = _MANIFESTS[f"HorizontalPodAutoscaler/{name}"]["spec"]
    assert {metric["pods"]["metric"]["name"] for metric in scaler["metrics"]} <= known
    assert scaler["scaleTargetRef"]["name"] == name
    assert "replicas" not in _MANIFESTS[f"Deployment/{name}"]["spec"]


def test_both_deployments_use_the_same_images_of_others() -> None:
    services = read_compose()["services"]
    for name in ("triton", "redis"):
        (container,) = _pod(name)["containers"]
        assert services[name]["image"].endswith(f":-{container['image']}}}")
