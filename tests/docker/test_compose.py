"""compose.yaml and its settings: valid for every profile, locked down, and in step with the service's settings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest

from service.settings import Settings
from tests.docker.files import DOCKER, read_compose

_PROFILES = {
    "cpu": {"gateway"},
    "gpu": {"gateway-triton", "triton"},
    "scale": {"replica", "redis", "proxy"},
    "observe": {"prometheus", "grafana"},
}
_EXAMPLE = (DOCKER / ".env.example").read_text(encoding="utf-8")
_LISTED = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", _EXAMPLE, flags=re.MULTILINE))
_NAMES_OF_SETTINGS = sorted(f"DUOACT_{name.upper()}" for name in Settings.model_fields)


def _render(profile: str, *, directory: Path) -> str:
    """What compose makes of the file with the example as it is."""
    shutil.copytree(DOCKER, directory / "docker")
    shutil.copy(DOCKER / ".env.example", directory / "docker" / ".env")
    # To show a composition it asks podman for nothing but its version.
    podman = directory / "podman"
    podman.write_text("#!/bin/sh\necho podman version 4.3.1\n")
    podman.chmod(0o755)
    compose = [sys.executable, "-m", "podman_compose", "--podman-path", str(podman)]
    command = [*compose, "-f", "docker/compose.yaml", "--profile", profile, "config"]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("profile", _PROFILES)
def test_profile_is_valid_by_the_specification(profile: str, tmp_path: Path) -> None:
    composition = compose_spec.PyCompose.from_yaml(_render(profile, directory=tmp_path))
    assert _PROFILES[profile] <= set(composition.service_names())


def test_profiles_share_no_service() -> None:
    services = read_compose()["services"]
    found = {profile: {name for name, each in services.items() if profile in each["profiles"]} for profile in _PROFILES}
    assert found == _PROFILES
    assert all(len(each["profiles"]) == 1 for each in services.values())


@pytest.mark.parametrize("name", sorted(read_compose()["services"]))
def test_container_can_neither_write_to_its_image_nor_gain_rights(name: str) -> None:
    service = read_compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_published_on_this_machine_alone() -> None:
    services = read_compose()["services"]
    ports = {name: each["ports"] for name, each in services.items() if "ports" in each}
    assert ports == {
        "gateway": ["${PUBLISH:-127.0.0.1:8000}:8000"],
        "gateway-triton": ["${PUBLISH:-127.0.0.1:8000}:8000"],
        "proxy": ["${PUBLISH_TLS:-127.0.0.1:8443}:8443"],
        "grafana": ["${PUBLISH_GRAFANA:-127.0.0.1:3000}:3000"],
    }


def test_triton_and_redis_are_reached_from_inside_alone() -> None:
    composition = read_compose()
    for name in ("triton", "redis"):
        assert all(composition["networks"][each].get("internal") for each in composition["services"][name]["networks"])


def test_example_lists_every_setting_of_the_service_once() -> None:
    lines = re.findall(r"^#?(DUOACT_[A-Z_]+)=", _EXAMPLE, flags=re.MULTILINE)
    assert sorted(lines) == _NAMES_OF_SETTINGS


@pytest.mark.parametrize("name", _NAMES_OF_SETTINGS)
def test_example_shows_the_default_of_a_setting(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    field = name.removeprefix("DUOACT_").lower()
    default: Any = getattr(Settings.load(), field)
    shown = _LISTED.get(name, "")
    if default is None and shown.endswith(".pem"):
        shown = str(tmp_path / "file.pem")
        Path(shown).touch()
    monkeypatch.setenv(name, shown)
    assert default is None or getattr(Settings.load(), field) == default


def test_example_lists_what_compose_reads_with_the_same_default() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    read = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))
    listed = {name: value for name, value in _LISTED.items() if not name.startswith("DUOACT_")}
    assert listed == read


def test_example_as_it_is_sets_nothing() -> None:
    assert re.findall(r"^[A-Z].*$", _EXAMPLE, flags=re.MULTILINE) == []


def test_compose_sets_nothing_that_the_service_does_not_know() -> None:
    services = read_compose()["services"].values()
    variables = {name for each in services for name in each.get("environment", {}) if name.startswith("DUOACT_")}
    assert variables == {"DUOACT_TRITON", "DUOACT_REDIS_URL"}
    assert variables <= set(_NAMES_OF_SETTINGS)
