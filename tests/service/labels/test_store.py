"""Embeddings on disk: kept, bounded in bytes, and never the reason for a wrong, a missing or a late answer."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from service.encoders.base import TextEmbedding
from service.labels.entries import TextKey
from service.labels.store import LabelStore
from tests.encoders import unit_vector

KEY = TextKey("en", "a" * 64, "a video of {}", "label", "running")
MEBIBYTE = 1 << 20
NO_DATABASE = b"this is no database, whatever its name says" * 100
# The log of what is not in the file yet, and one batch.
SLACK_BYTES = 6 * MEBIBYTE


def embedding(text: str = "x") -> TextEmbedding:
    words = np.stack([unit_vector(text + "1"), unit_vector(text + "2")]).astype(np.float16)
    return TextEmbedding(unit_vector(text), words, truncated=True)


def long_embedding() -> TextEmbedding:
    return TextEmbedding(np.ones(512, dtype=np.float32), np.ones((30, 512), dtype=np.float16))


def keys(*texts: object) -> list[TextKey]:
    return [KEY._replace(text=str(text)) for text in texts]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@contextmanager
def open_store(path: Path, *, max_bytes: int = 4 * MEBIBYTE, clock: Clock | None = None) -> Iterator[LabelStore]:
    store = LabelStore(path, max_bytes=max_bytes, clock=clock or Clock())
    store.open()
    yield store
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.sqlite"


def num_bytes_of(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))


def same(one: TextEmbedding, other: TextEmbedding) -> bool:
    arrays = np.array_equal(one.embedding, other.embedding) and np.array_equal(one.words, other.words)
    return arrays and (one.truncated, one.unknown) == (other.truncated, other.unknown)


def test_entries_outlive_the_service(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "labels.sqlite"
    with open_store(path) as store:
        store.write({KEY: embedding()})
    with open_store(path) as store:
        found = store.read([KEY])
    assert list(found) == [KEY]
    assert same(found[KEY], embedding())


@pytest.mark.parametrize(
    "change",
    [{"language": "zh"}, {"digest": "b" * 64}, {"template": "{}"}, {"word_set": "sentence"}, {"text": "running "}],
)
def test_every_part_of_a_key_counts(path: Path, change: dict[str, str]) -> None:
    with open_store(path) as store:
        store.write({KEY: embedding()})
        assert store.read([KEY._replace(**change)]) == {}  # type: ignore[arg-type]


def test_many_keys_are_read_at_once(path: Path) -> None:
    many = keys(*range(1200))
    with open_store(path) as store:
        store.write({key: embedding(key.text) for key in many})
        found = store.read(many)
    assert all(same(found[key], embedding(key.text)) for key in many)


def test_entry_is_written_again_in_its_place(path: Path) -> None:
    with open_store(path) as store:
        for text in "ab":
            store.write({KEY: embedding(text)})
        assert same(store.read([KEY])[KEY], embedding("b"))


def test_file_does_not_grow_beyond_its_bound(path: Path) -> None:
    with open_store(path, max_bytes=2 * MEBIBYTE) as store:
        for number in range(0, 1000, 20):
            store.write({key: long_embedding() for key in keys(*range(number, number + 20))})
            assert path.stat().st_size <= 2 * MEBIBYTE
            assert num_bytes_of(path) <= 2 * MEBIBYTE + SLACK_BYTES
        assert len(store.read(keys(*range(1000)))) > 30
        assert len(store.read(keys(*range(980, 1000)))) == 20


def test_what_was_not_used_for_longest_makes_room(path: Path) -> None:
    clock = Clock()
    with open_store(path, max_bytes=MEBIBYTE, clock=clock) as store:
        store.write({key: long_embedding() for key in keys("old", "used")})
        for number in range(100):
            clock.now += 1000
            store.read(keys("used"))
            store.write({key: long_embedding() for key in keys(number)})
        assert [key.text for key in store.read(keys("old", "used", 99))] == ["used", "99"]


def test_use_is_noted_when_the_store_is_closed(path: Path) -> None:
    clock = Clock()
    with open_store(path, clock=clock) as store:
        store.write({KEY: embedding()})
    clock.now += 1000
    with open_store(path, clock=clock) as store:
        store.read([KEY])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT used FROM entries").fetchall() == [(int(clock.now),)]


def test_file_shrinks_to_a_lower_bound(path: Path) -> None:
    with open_store(path) as store:
        for number in range(0, 100, 10):
            store.write({key: long_embedding() for key in keys(*range(number, number + 10))})
    assert path.stat().st_size > 2 * MEBIBYTE
    with open_store(path, max_bytes=MEBIBYTE) as store:
        assert store.read(keys(99)) != {}
    assert path.stat().st_size <= MEBIBYTE


def test_entries_larger_than_the_store_are_not_kept(path: Path) -> None:
    with open_store(path, max_bytes=MEBIBYTE) as store:
        store.write({KEY: embedding()})
        store.write({key: long_embedding() for key in keys(*range(40))})
        assert list(store.read([KEY, *keys(*range(40))])) == [KEY]


def test_damaged_row_counts_as_absent(path: Path) -> None:
    with open_store(path) as store:
        store.write({KEY: embedding()})
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE embeddings SET value = substr(value, 1, 60) || x'ffffffff' || substr(value, 65)")
        assert store.read([KEY]) == {}


def test_file_that_is_no_database_is_moved_aside_at_the_start(path: Path) -> None:
    path.write_bytes(NO_DATABASE)
    with open_store(path) as store:
        store.write({KEY: embedding()})
        assert KEY in store.read([KEY])
    assert path.with_name("labels.sqlite.damaged").read_bytes() == NO_DATABASE


def test_file_that_becomes_corrupt_is_moved_aside_while_serving(path: Path) -> None:
    with open_store(path) as store:
        store.write({key: long_embedding() for key in keys(*range(50))})
        store.close()
        store.open()
        with path.open("r+b") as file:
            file.seek(16_384)
            file.write(b"\xff" * (path.stat().st_size - 16_384))
        assert store.read([KEY]) == {}
        store.write({KEY: embedding()})
        assert KEY in store.read([KEY])
    assert path.with_name("labels.sqlite.damaged").exists()


def test_only_the_last_damaged_file_is_kept(path: Path) -> None:
    for content in (NO_DATABASE, NO_DATABASE[::-1]):
        path.write_bytes(content)
        with open_store(path):
            pass
    assert path.with_name("labels.sqlite.damaged").read_bytes() == NO_DATABASE[::-1]
    assert len(list(path.parent.iterdir())) == 2


def test_file_that_another_service_has_replaced_is_not_moved_again(path: Path) -> None:
    with open_store(path) as one, open_store(path) as other:
        one.write({key: long_embedding() for key in keys(*range(50))})
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(16_384)
            file.write(b"\xff" * (path.stat().st_size - 16_384))
        for store in (one, other):
            assert store.read(keys(0)) == {}
            store.write({key: embedding() for key in keys("a", "b")})
        assert len(one.read(keys("a", "b"))) == 2
        assert len(other.read(keys("a", "b"))) == 2
    assert len(list(path.parent.glob("*damaged"))) == 1


@pytest.mark.parametrize(("number", "name"), [(0, "labels.sqlite.layout-1"), (9, "labels.sqlite.layout-9")])
def test_file_of_another_layout_is_set_aside(path: Path, number: int, name: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE embeddings_1 (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
        connection.execute(f"PRAGMA user_version = {number}")
    with open_store(path) as store:
        store.write({KEY: embedding()})
        assert KEY in store.read([KEY])
    with closing(sqlite3.connect(path.with_name(name))) as connection:
        assert connection.execute("SELECT count(*) FROM embeddings_1").fetchall() == [(0,)]


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_locked_file_costs_no_time_of_an_answer(path: Path, mode: str) -> None:
    clock = Clock()
    with open_store(path, clock=clock) as store:
        store.write({KEY: embedding()})
        store.close()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        for number in range(40):
            store.read(keys(number))
        assert time.monotonic() - began < 0.5
        other.execute("ROLLBACK")
        other.close()


def test_writes_leave_a_locked_file_alone_for_a_while(path: Path) -> None:
    with open_store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        for number in range(40):
            store.write({key: embedding() for key in keys(number)})
        assert time.monotonic() - began < 2.0
        other.execute("ROLLBACK")
        other.close()
        assert store.read(keys(0)) == {}


def test_file_that_was_locked_at_the_start_is_used_later(path: Path) -> None:
    with open_store(path):
        pass
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    store = LabelStore(path, max_bytes=MEBIBYTE, rest_seconds=0.05)
    store.open()
    other.execute("ROLLBACK")
    other.close()
    time.sleep(0.06)
    store.write({KEY: embedding()})
    assert KEY in store.read([KEY])
    store.close()


def test_lost_table_costs_the_entries_only(path: Path) -> None:
    store = LabelStore(path, max_bytes=MEBIBYTE, rest_seconds=0.01)
    store.open()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE embeddings")
    assert store.read([KEY]) == {}
    for _ in range(2):
        store.write({KEY: embedding()})
        time.sleep(0.02)
    assert KEY in store.read([KEY])
    store.close()


def test_unusable_place_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with open_store(tmp_path / "file" / "labels.sqlite") as store:
        store.write({KEY: embedding()})
        assert store.read([KEY]) == {}


def test_corrupt_file_that_cannot_be_moved_is_done_without(path: Path) -> None:
    path.write_bytes(NO_DATABASE)
    (path.with_name("labels.sqlite.damaged") / "in the way").mkdir(parents=True)
    with open_store(path) as store:
        store.write({KEY: embedding()})
        assert store.read([KEY]) == {}


_WRITER = """
import sys
from pathlib import Path
from service.labels.store import LabelStore
from tests.service.labels.test_store import keys, long_embedding
store = LabelStore(Path(sys.argv[1]), max_bytes=2 << 20)
store.open()
print("open", flush=True)
number = int(sys.argv[2])
while True:
    store.write({key: long_embedding() for key in keys(*range(number, number + 20))})
    number += 20
"""


def test_store_survives_being_killed_at_any_moment(path: Path) -> None:
    chance = random.Random(0)
    for number in range(6):
        command = [sys.executable, "-c", _WRITER, str(path), str(number * 100_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"open\n"
            time.sleep(chance.uniform(0.01, 0.3))
            writer.send_signal(signal.SIGKILL)
        with open_store(path, max_bytes=2 * MEBIBYTE) as store:
            store.write({KEY: embedding()})
            assert same(store.read([KEY])[KEY], embedding())
        assert path.stat().st_size <= 2 * MEBIBYTE
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not list(path.parent.glob("*damaged*"))
