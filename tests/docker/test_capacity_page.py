"""The tables of CAPACITY.md are what `duoact capacity` says."""

import json
import re

import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.docker.files import DOCKER

_PAGE = (DOCKER / "CAPACITY.md").read_text(encoding="utf-8")
_COMMANDS = re.findall(r"^`duoact capacity (costs/.*)`$", _PAGE, flags=re.MULTILINE)
_TABLES = [
    re.findall(r"^\| `(--.*?)` \| (.*) \|$", part, flags=re.MULTILINE) for part in _PAGE.split("## Gateways")[1:]
]
_ROWS = [
    (f"{command} {load}", figures) for command, table in zip(_COMMANDS, _TABLES, strict=True) for load, figures in table
]


def test_both_tables_are_found() -> None:
    assert [len(table) for table in _TABLES] == [4, 8]


@pytest.mark.parametrize(("options", "figures"), _ROWS)
def test_row_is_what_the_command_says(options: str, figures: str) -> None:
    arguments = options.replace("costs/", f"{DOCKER}/costs/").split()
    plan = json.loads(CliRunner().invoke(app, ["capacity", *arguments, "--json"]).stdout)
    machines, outcome = plan["machines"], plan["outcome"]
    milliseconds = [f"{1000 * outcome[name]:.0f}" for name in ("p50_seconds", "p99_seconds")]
    network = [f"{plan[name]:.0f}" for name in ("uploads_megabits_per_second", "views_megabits_per_second")]
    assert figures == " | ".join(
        [str(machines["num_gateways"]), str(machines["num_encoders"]), " / ".join(milliseconds) + " ms", *network]
    )
