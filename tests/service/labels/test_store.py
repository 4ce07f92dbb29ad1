"""Embeddings on disk: kept, bounded, and never the reason for a wrong or missing answer."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from service.encoders.base import TextEmbedding
from service.labels.store import LabelStore, TextKey, pack_embedding, unpack_embedding
from tests.encoders import unit_vector

KEY = TextKey("en", "a" * 64, "a video of {}", "label", "running")


def embedding(text: str = "x") -> TextEmbedding:
    return TextEmbedding(
        unit_vector(text), np.stack([unit_vector(text + "1"), unit_vector(text + "2")]), truncated=True
    )


def open_store(path: Path, *, max_entries: int = 100) -> LabelStore:
    store = LabelStore(path, max_entries=max_entries)
    store.open()
    return store


def same(one: TextEmbedding, other: TextEmbedding) -> bool:
    arrays = np.array_equal(one.embedding, other.embedding) and np.array_equal(one.words, other.words)
    return arrays and (one.truncated, one.unknown) == (other.truncated, other.unknown)


def test_entries_outlive_the_service(tmp_path: Path) -> None:
    store = open_store(tmp_path / "deep" / "labels.sqlite")
    store.write({KEY: embedding()})
    store.close()
    found = open_store(tmp_path / "deep" / "labels.sqlite").read([KEY])
    assert list(found) == [KEY]
    assert same(found[KEY], embedding())


@pytest.mark.parametrize(
    "change",
    [{"language": "zh"}, {"digest": "b" * 64}, {"template": "{}"}, {"word_set": "sentence"}, {"text": "running "}],
)
def test_every_part_of_a_key_counts(tmp_path: Path, change: dict[str, str]) -> None:
    store = open_store(tmp_path / "labels.sqlite")
    store.write({KEY: embedding()})
    assert store.read([KEY._replace(**change)]) == {}  # type: ignore[arg-type]


def test_many_keys_are_read_at_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "labels.sqlite", max_entries=2000)
    keys = [KEY._replace(text=str(index)) for index in range(1200)]
    store.write({key: embedding(key.text) for key in keys})
    found = store.read(keys)
    assert all(same(found[key], embedding(key.text)) for key in keys)


def test_oldest_entries_make_room(tmp_path: Path) -> None:
    store = open_store(tmp_path / "labels.sqlite", max_entries=2)
    keys = [KEY._replace(text=text) for text in "abc"]
    for key in keys:
        store.write({key: embedding()})
    assert set(store.read(keys)) == set(keys[1:])


def test_damaged_row_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    store = open_store(path)
    store.write({KEY: embedding()})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE embeddings_1 SET value = substr(value, 1, 40) || x'ffffffff' || substr(value, 45)")
    connection.close()
    assert store.read([KEY]) == {}


@pytest.mark.parametrize("value", [b"", b"short", pack_embedding(embedding())[:-1], pack_embedding(embedding()) + b"1"])
def test_cut_bytes_are_no_embedding(value: bytes) -> None:
    assert unpack_embedding(value) is None


def test_corrupt_file_is_replaced_at_start(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    store = open_store(path)
    store.write({KEY: embedding()})
    assert KEY in store.read([KEY])


def test_file_that_becomes_corrupt_is_replaced_while_serving(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    store = open_store(path)
    store.write({KEY._replace(text=str(index)): embedding() for index in range(100)})
    store.close()
    store.open()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert store.read([KEY]) == {}
    store.write({KEY: embedding()})
    assert KEY in store.read([KEY])


def test_locked_file_costs_time_only(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    store = open_store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store.write({KEY: embedding()})
    other.execute("ROLLBACK")
    other.close()
    assert store.read([KEY]) == {}
    store.write({KEY: embedding()})
    assert KEY in store.read([KEY])


def test_lost_table_costs_the_entries_only(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    store = open_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE embeddings_1")
    connection.close()
    assert store.read([KEY]) == {}


def test_unusable_place_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = open_store(tmp_path / "file" / "labels.sqlite")
    store.write({KEY: embedding()})
    assert store.read([KEY]) == {}
    store.close()


def test_corrupt_file_that_cannot_be_replaced_is_done_without(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    (tmp_path / "labels.sqlite-shm").mkdir()
    store = open_store(path)
    assert store.read([KEY]) == {}
