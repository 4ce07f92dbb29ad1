"""Label embeddings on disk: one SQLite file that outlives the service. It saves time and is never needed for an answer.

Rows are keyed by a digest, so no label text is stored; a check sum guards every row, because SQLite has none.
"""

import hashlib
import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from service.contract.labels import Language
from service.encoders.base import TextEmbedding

_logger = structlog.get_logger(__name__)
# CRC-32 of the rest, dimension, number of words, whether the text was truncated, whether it has unknown characters.
_HEADER = struct.Struct("<IIIBB")
# SQLite before 3.32 takes 999 parameters in a statement.
_CHUNK_KEYS = 500
# Services on one machine may share the file. Whoever finds it locked for longer encodes the texts instead.
_BUSY_SECONDS = 0.25
_SCHEMA = "CREATE TABLE IF NOT EXISTS embeddings_1 (key BLOB PRIMARY KEY, value BLOB NOT NULL)"


class TextKey(NamedTuple):
    """Everything that a text's embedding depends on; ``word_set`` is empty where the language weighs no frames.

    A tuple and not a dataclass, because ten thousand of them are hashed for one request.
    """

    language: Language
    digest: str
    template: str
    word_set: str
    text: str

    def row_key(self) -> bytes:
        """A digest of all parts that no two different keys share."""
        return hashlib.sha256(json.dumps(self).encode()).digest()


class LabelStore:
    """The SQLite file; used from one thread at a time. Any fault of the disk costs the entries, never an answer."""

    def __init__(self, path: Path, *, max_entries: int) -> None:
        self._path = path
        self._max_entries = max_entries
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or create the file; a corrupt one is replaced, an unusable place is logged and done without."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connect()
        except (OSError, sqlite3.OperationalError) as error:
            _logger.warning("label store unusable", error=str(error))
        except sqlite3.DatabaseError as error:
            self._rebuild(error)

    def read(self, keys: Sequence[TextKey]) -> dict[TextKey, TextEmbedding]:
        """Read what is stored of the keys; a damaged row counts as absent."""
        if self._connection is None:
            return {}
        by_row = {key.row_key(): key for key in keys}
        try:
            found = [row for chunk in _chunks(list(by_row)) for row in _select(self._connection, chunk)]
        except sqlite3.Error as error:
            self._lose(error)
            return {}
        unpacked = {by_row[row]: unpack_embedding(value) for row, value in found}
        return {key: embedding for key, embedding in unpacked.items() if embedding is not None}

    def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        """Store entries, dropping the oldest beyond the limit."""
        if self._connection is None:
            return
        rows = [(key.row_key(), pack_embedding(embedding)) for key, embedding in entries.items()]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO embeddings_1 VALUES (?, ?)", rows)
                # A row that is written takes the highest number, so the lowest are the oldest. Counting would read all.
                self._connection.execute(
                    "DELETE FROM embeddings_1 WHERE rowid <= (SELECT max(rowid) FROM embeddings_1) - ?",
                    (self._max_entries,),
                )
        except sqlite3.Error as error:
            self._lose(error)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            # Who reads does not wait for who writes; a power failure costs the last entries, and not the file.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                connection.execute(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _lose(self, error: sqlite3.Error) -> None:
        """Go on after a fault: a locked or full disk may recover, a corrupt file is replaced."""
        if isinstance(error, sqlite3.OperationalError):
            _logger.warning("label store missed", error=str(error))
            return
        self.close()
        self._rebuild(error)

    def _rebuild(self, error: Exception) -> None:
        _logger.warning("label store corrupt, starting a new one", error=str(error))
        try:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._connection = self._connect()
        except (OSError, sqlite3.Error) as second_error:
            _logger.warning("label store unusable", error=str(second_error))


def pack_embedding(embedding: TextEmbedding) -> bytes:
    """Pack an embedding and its words into bytes behind a check sum."""
    body = embedding.embedding.tobytes() + embedding.words.tobytes()
    num_words, dimension = embedding.words.shape
    header = _HEADER.pack(zlib.crc32(body), dimension, num_words, embedding.truncated, embedding.unknown)
    return header + body


def unpack_embedding(value: bytes) -> TextEmbedding | None:
    """Unpack what ``pack_embedding`` packed, or None where the bytes are damaged."""
    if len(value) < _HEADER.size:
        return None
    check_sum, dimension, num_words, truncated, unknown = _HEADER.unpack_from(value)
    body = value[_HEADER.size :]
    if len(body) != 4 * dimension * (1 + num_words) or zlib.crc32(body) != check_sum:
        return None
    rows = np.frombuffer(body, dtype=np.float32).reshape(1 + num_words, dimension)
    return TextEmbedding(rows[0], rows[1:], truncated=bool(truncated), unknown=bool(unknown))


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    marks = ",".join("?" * len(keys))
    with closing(connection.execute(f"SELECT key, value FROM embeddings_1 WHERE key IN ({marks})", keys)) as cursor:
        rows: list[tuple[bytes, bytes]] = cursor.fetchall()
    return rows


def _chunks(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[start : start + _CHUNK_KEYS] for start in range(0, len(keys), _CHUNK_KEYS))
