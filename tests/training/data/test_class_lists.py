"""Lists of classes in every layout, and what is wrong or odd about them, told by name."""

from pathlib import Path

import pytest

from service.contract.errors import LabelError
from tests.training.data.datasets.files import write
from training.data.class_lists import read_class_list
from training.errors import DataError


@pytest.mark.parametrize(
    ("name", "lines", "ids"),
    [
        ("labels.csv", ["id,name", "1,kick", '0,"open, close"'], (0, 1)),
        ("labels.csv", ["id,en,zh", '0,"open, close",开合', "1,kick,"], (0, 1)),
        ("labels.csv", ["id,en,zh,original", '0,unclosing,开合,"open, close"', "1,to kick,,kick"], (0, 1)),
        ("classInd.txt", ["2 kick", "1 open, close"], (1, 2)),
        ("map.txt", ["0: open, close", "1: kick"], (0, 1)),
        ("moments_categories.txt", ["open, close,0", "kick,1"], (0, 1)),
        ("map.txt", ["open, close", "", "kick"], (0, 1)),
        ("labels.json", ['{"kick": "1", "open, close": "0"}'], (0, 1)),
        ("labels.json", ['{"0": "open, close", "1": "kick"}'], (0, 1)),
        ("labels.json", ['["open, close", "kick"]'], (0, 1)),
    ],
)
def test_layouts_give_names_in_the_order_of_their_ids(
    tmp_path: Path, name: str, lines: list[str], ids: tuple[int, ...]
) -> None:
    classes = read_class_list(write(tmp_path / name, *lines))
    assert (classes.names, classes.ids, classes.problems) == (("open, close", "kick"), ids, ())
    assert classes.require_sound() == ("open, close", "kick")


def test_numbers_among_names_are_names(tmp_path: Path) -> None:
    assert read_class_list(write(tmp_path / "tags.txt", "007 agent", "DJ", "电子游戏")).names == (
        "007 agent", "DJ", "电子游戏",
    )  # fmt: skip


def test_what_is_unusual_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "classInd.txt", "1 run", "2 kick", end="\r\n")
    assert read_class_list(path).notes == ("ids count from 1", "lines end with CR LF")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["id,name", "0,kick", "0,run", "1,wave"], "id 0 is given to 'kick' and to 'run'"),
        (["id,name", "0,kick", "3,run", "5,jump"], "between the ids 0 and 5 3 are missing: 1, 2, 4"),
        (["id,name", "2,kick"], "ids start at 2, not at 0 or 1"),
        (["salto", "flic-flac", "Salto"], "'salto' stands at 0 and 2"),
    ],
)
def test_problems_are_told_with_ids_and_names(tmp_path: Path, lines: list[str], problem: str) -> None:
    classes = read_class_list(write(tmp_path / "labels.csv", *lines))
    assert classes.problems == (problem,)
    with pytest.raises(DataError, match=rf"labels.csv: {problem}\. Correct the list, and what refers to it"):
        classes.require_sound()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "a.txt holds no class; list the names, one a line"),
        ("a.csv", "id,name\n0,open, close", r"row \['0', 'open', 'close'\] must be an id and a name; quote a name"),
        ("a.csv", "id,name\nzero,kick", r"row \['zero', 'kick'\] must be an id and a name"),
        ("a.csv", "id,name\n0,", r"row \['0', ''\] must be an id and a name"),
        ("a.json", "3", "holds neither a list of names nor an object"),
        ("a.json", '{"kick": "run"}', "'kick' with 'run' is no name with an id"),
        ("a.json", '{"kick": 0, "kick": 1}', "a.json cannot be read as JSON: key 'kick' is given 2 times; rename"),
        ("a.json", "{", "a.json cannot be read as JSON"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_class_list(write(tmp_path / name, text))


def test_label_tables_are_checked_as_such(tmp_path: Path) -> None:
    with pytest.raises(
        LabelError, match=r"line 3 is \['0', 'run', ''\], which repeats the id of 'kick'; expected id 1"
    ):
        read_class_list(write(tmp_path / "labels.csv", "id,en,zh", "0,kick,", "0,run,"))


def test_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels.csv cannot be read: No such file"):
        read_class_list(tmp_path / "labels.csv")
