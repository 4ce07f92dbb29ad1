"""The import rules hold and have no holes: imports that break them are planted in a copy, and each is caught."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.end_to_end.server import ROOT

LAYERS = {"service": "service layers", "training": "training layers"}
OUTSIDE = "training sees nothing of the service but the contract"
CYCLES = "no cycles between siblings, at any depth"

# Where an import is planted, what it imports, and the rule that it breaks.
UPWARD = [
    ("training.config.towers", "training.runs.environment", LAYERS["training"]),
    ("training.models.card", "training.evaluation.metrics", LAYERS["training"]),
    ("training.errors", "training.files.texts", LAYERS["training"]),
    ("training.config.fitting", "torch", "configs and recipes are free of torch"),
    ("service.settings", "service.api.access", LAYERS["service"]),
    ("service.contract.sampling", "service.telemetry.metrics", LAYERS["service"]),
    ("service.contract.scoring", "openvino", "the contract knows no web framework, and an engine in one module alone"),
    (
        "service.recognition.recognizer",
        "service.settings",
        "settings are handed down: only what starts a service reads them",
    ),
    ("service.encoders.base", "torch", "the service never reaches torch or the training code"),
]
CIRCULAR = [
    ("training.fitting.optimizer", "training.fitting.fit"),
    ("training.data.class_order", "training.data.datasets.catalogue"),
    ("service.encoders.towers", "service.encoders.embedded"),
]


def read_contracts() -> dict[str, dict[str, list[str]]]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["name"]: each for each in config["tool"]["importlinter"]["contracts"]}


def list_children(package: str) -> set[str]:
    """The modules directly in a package, and the folders that hold any."""
    found = (ROOT / package).iterdir()
    return {path.stem for path in found if path.suffix == ".py" or any(path.glob("*.py"))} - {"__init__"}


REACHING = [
    ("training.models.card", f"service.{part}", OUTSIDE) for part in sorted(list_children("service") - {"contract"})
]


def lint(directory: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def lint_with(planted: Iterable[tuple[str, str]], *, copy: Path) -> str:
    """Say what is found in a copy in which all imports are planted."""
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in LAYERS:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for importer, imported in planted:
        with copy.joinpath(*importer.split(".")).with_suffix(".py").open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    code, found = lint(copy)
    assert code == 1
    return found[found.index("Broken contracts") :]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    planted = [(importer, imported) for importer, imported, _ in [*UPWARD, *REACHING]]
    return lint_with(planted, copy=tmp_path_factory.mktemp("upward"))


@pytest.fixture(scope="module")
def circular(tmp_path_factory: pytest.TempPathFactory) -> str:
    return lint_with(CIRCULAR, copy=tmp_path_factory.mktemp("circular"))


def test_rules_are_kept() -> None:
    code, found = lint(ROOT)
    assert code == 0, found


@pytest.mark.parametrize(("importer", "imported", "rule"), [*UPWARD, *REACHING])
def test_import_against_a_rule_is_caught_by_it(broken: str, importer: str, imported: str, rule: str) -> None:
    headings = "|".join(map(re.escape, read_contracts()))
    parts = re.split(rf"^({headings})\n-+$", broken, flags=re.MULTILINE)
    assert f"{importer} -> {imported}" in dict(zip(parts[1::2], parts[2::2], strict=True))[rule]


@pytest.mark.parametrize(("importer", "imported"), CIRCULAR)
def test_cycle_is_caught(circular: str, importer: str, imported: str) -> None:
    shared = importer.rpartition(".")[0]
    assert imported.startswith(f"{shared}.")
    # The rule names an import that would have to go, of which there may be several.
    assert f"No cycles are allowed in {shared}." in circular


@pytest.mark.parametrize("package", LAYERS)
def test_layers_name_every_child(package: str) -> None:
    layers = read_contracts()[LAYERS[package]]["layers"]
    assert {name for layer in layers for name in layer.split(" | ")} == list_children(package)


def test_training_is_kept_from_every_part_of_the_service_but_the_contract() -> None:
    forbidden = {name.removeprefix("service.") for name in read_contracts()[OUTSIDE]["forbidden_modules"]}
    assert forbidden == list_children("service") - {"contract"}
