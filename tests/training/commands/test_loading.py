"""The list of commands, which is shown without loading any of them."""

import subprocess
import sys

import pytest

from tests.end_to_end.server import ROOT
from tests.training.commands.test_menu import call
from training.commands.menu import COMMANDS, LazyCommand, load


@pytest.mark.parametrize("late", COMMANDS, ids=lambda late: late.name)
def test_command_is_there_and_says_what_the_list_says(late: LazyCommand) -> None:
    loaded = load(late)
    assert (loaded.help or "").splitlines()[0] == late.help


def test_list_is_shown_and_mistyped_names_are_found_without_torch() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from training.commands.menu import app\n"
        "print(CliRunner().invoke(app, ['--help']).exit_code, CliRunner().invoke(app, ['fti']).exit_code)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "2", "False"]


def test_groups_are_loaded_too() -> None:
    assert "official files" in call("data", "--help").stdout
