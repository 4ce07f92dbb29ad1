"""Processes of a launch: shares that hold every item once, and launches that are refused or explained."""

import pytest

from tests.training.commands.test_menu import call
from training.errors import SettingError
from training.processes.ranks import Team, interleave, join_launch


@pytest.mark.parametrize(
    ("num_items", "size", "shares"),
    [
        (5, 2, [[0, 2, 4], [1, 3]]),
        (4, 2, [[0, 2], [1, 3]]),
        (1, 3, [[0], [], []]),
        (3, 1, [[0, 1, 2]]),
    ],
)
def test_shares_hold_every_item_once_and_join_in_order(num_items: int, size: int, shares: list[list[int]]) -> None:
    items = list(range(num_items))
    assert [list(Team(rank, size).take(items)) for rank in range(size)] == shares
    assert interleave(shares) == items


def test_one_process_needs_no_others() -> None:
    alone = Team()
    alone.wait()
    assert alone.is_main
    assert (alone.gather("ab"), alone.hear(True), alone.hear(False)) == ((("a", "b"),), True, False)


def test_processes_that_cannot_find_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(SettingError, match="the launcher started 3 processes, which found no GPUs to share; set ACC"):
        join_launch()


@pytest.mark.parametrize("engine", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_engines_that_shard_models_are_refused(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{engine}", "true")
    message = f"set ACCELERATE_USE_{engine} to shard .* of fit; launch with --multi_gpu, and give fit --shard"
    with pytest.raises(SettingError, match=message):
        join_launch()


@pytest.mark.parametrize(
    "command", [("retrieve", "x", "--data", "y"), ("figures", "x", "--data", "y"), ("export", "x", "--out", "y")]
)
def test_commands_of_one_process_refuse_several(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    result = call(*command)
    assert result.exit_code == 1
    assert result.stderr == (
        "process 1: the launcher started 2 processes, but of all commands only fit and evaluate share their work; run "
        "this one without a launcher\n"
    )


def test_one_process_in_the_place_of_several_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    result = call("fit", "deom", "--data", "x", "--out", "y")
    assert (
        "this process works alone: accelerate starts one with --cpu, or on less than two GPUs, however" in result.stderr
    )
    assert "recipe is 'deom'" in result.stderr
