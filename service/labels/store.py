"""Label embeddings on disk: one SQLite file that outlives the service. It saves time and is never needed for an answer.

The file is bounded in bytes: what has not been used for longest makes room. Beside it lies a write-ahead log of some
megabytes, and where a file was damaged or of another layout, the last such file under another name.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from service.encoders.base import TextEmbedding
from service.labels.circuit import Circuit
from service.labels.entries import TextKey, pack_embedding, unpack_embedding
from service.labels.store_file import (
    LayoutError,
    bound,
    bytes_in_use,
    is_damage,
    is_lock,
    is_whole,
    move_aside,
    open_existing,
    open_or_create,
)

_logger = structlog.get_logger(__name__)
# SQLite before 3.32 takes 999 parameters in a statement.
_CHUNK_KEYS = 500
_REST_SECONDS = 5.0
# A full file cannot even delete, so room is made before.
_FILL = 0.9
# Of the entries, the part that leaves at once.
_EVICTED_PART = 32
# When an entry was used is written down this often at most.
_USE_SECONDS = 600.0


class LabelStore:
    """The SQLite file; read from one thread at a time, and written from one other.

    Services on one machine may share it. Whoever finds it locked does without: no answer waits for a lock.

    Args:
        path: the file.
        max_bytes: what the file may hold.
        clock: seconds since the epoch.
        rest_seconds: how long the file is left alone after a fault.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
        rest_seconds: float = _REST_SECONDS,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._clock = clock
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        # Held while the reader reads, notes what was used, or is taken from its file.
        self._reading = threading.Lock()
        # Who cannot read finds out at once, so that it is tried again soon; who cannot write waits for a lock.
        self._reads, self._writes = Circuit(rest_seconds=rest_seconds / 10), Circuit(rest_seconds=rest_seconds)
        self._used: set[bytes] = set()
        # What whoever reads or writes found wrong with the file itself; nobody reads until it is moved away.
        self._wrong: Exception | None = None

    def open(self) -> None:
        """Open or create the file; one that cannot be used is logged, done without, and tried again later."""
        self._attempt_write(lambda _: None)

    def read(self, keys: Sequence[TextKey]) -> dict[TextKey, TextEmbedding]:
        """Read what is stored of the keys; a damaged row counts as absent, a file that is locked holds nothing."""
        by_row = {key.row_key(): key for key in keys}
        unpacked = {
            by_row[row]: unpack_embedding(by_row[row], value)
            for chunk in _chunks(list(by_row))
            for row, value in self._read_rows(chunk)
        }
        return {key: embedding for key, embedding in unpacked.items() if embedding is not None}

    def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        """Store entries, in place of those that have not been used for longest; a fault of the disk costs them."""
        rows = [(key.row_key(), pack_embedding(key, embedding)) for key, embedding in entries.items()]
        num_bytes = sum(len(value) for _, value in rows)
        if num_bytes <= self._max_bytes * _FILL / 2:
            self._attempt_write(lambda connection: self._write_rows(connection, rows, num_bytes=num_bytes))

    def close(self) -> None:
        """Note what was used, and close the file."""
        if self._used:
            self.write({})
        self._close()

    def _read_rows(self, rows: Sequence[bytes]) -> Sequence[tuple[bytes, bytes]]:
        with self._reading:
            if self._wrong is not None or not self._reads.allows():
                return []
            try:
                if self._reader is None:
                    self._reader = open_existing(self._path)
                found = _select(self._reader, rows)
            except sqlite3.Error as error:
                self._miss(error)
                return []
            self._reads.succeed()
            old = self._clock() - _USE_SECONDS
            self._used.update(row for row, used, _ in found if used < old)
        return [(row, value) for row, _, value in found]

    def _miss(self, error: sqlite3.Error) -> None:
        """Do without the file; of damage, the next who writes takes care."""
        if is_damage(error):
            self._wrong = error
            return
        if self._reads.is_closed:
            _logger.warning("label store not read", error=str(error))
        self._reads.fail()

    def _attempt_write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        if not self._writes.allows():
            return
        try:
            self._work_on_sound_file(work)
        except (OSError, sqlite3.Error, LayoutError) as error:
            if self._writes.is_closed:
                _logger.warning("label store not written", error=str(error))
            self._writes.fail()
            if not is_lock(error):
                self._close_writer()
        else:
            self._writes.succeed()

    def _work_on_sound_file(self, work: Callable[[sqlite3.Connection], None]) -> None:
        if self._wrong is not None:
            self._set_aside(self._wrong)
        try:
            work(self._open_writer())
        except (sqlite3.Error, LayoutError) as error:
            if not isinstance(error, LayoutError) and not is_damage(error):
                raise
            self._set_aside(error)
            work(self._open_writer())

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = open_or_create(self._path)
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                _make_room(self._writer, num_bytes=int(self._max_bytes * _FILL))
            bound(self._writer, max_bytes=self._max_bytes)
        return self._writer

    def _write_rows(
        self, connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]], *, num_bytes: int
    ) -> None:
        now = int(self._clock())
        with self._reading:
            used, self._used = self._used, set()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE entries SET used = ? WHERE key = ?", [(now, row) for row in used])
            _make_room(connection, num_bytes=int(self._max_bytes * _FILL) - num_bytes)
            connection.executemany(
                "INSERT INTO entries (key, used) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used",
                [(row, now) for row, _ in rows],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO embeddings SELECT id, ? FROM entries WHERE key = ?",
                [(value, row) for row, value in rows],
            )

    def _set_aside(self, error: Exception) -> None:
        """Move a file that cannot be used out of the way, unless another service has done so."""
        self._wrong = error
        self._close()
        if not is_whole(self._path):
            suffix = f"layout-{error.layout}" if isinstance(error, LayoutError) else "damaged"
            kept = move_aside(self._path, suffix=suffix)
            _logger.warning("label store moved aside, starting a new one", error=str(error), kept=str(kept))
        self._wrong = None

    def _close(self) -> None:
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        self._close_writer()

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _make_room(connection: sqlite3.Connection, *, num_bytes: int) -> None:
    """Delete what has not been used for longest until the file holds no more than so many bytes."""
    while bytes_in_use(connection) > num_bytes:
        [(num_entries,)] = connection.execute("SELECT count(*) FROM entries")
        if num_entries == 0:
            return
        oldest = "SELECT id FROM entries ORDER BY used, id LIMIT ?"
        num_evicted = num_entries // _EVICTED_PART + 1
        connection.execute(f"DELETE FROM embeddings WHERE id IN ({oldest})", (num_evicted,))
        connection.execute(f"DELETE FROM entries WHERE id IN ({oldest})", (num_evicted,))


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[tuple[bytes, int, bytes]]:
    marks = ",".join("?" * len(keys))
    statement = f"SELECT key, used, value FROM entries JOIN embeddings USING (id) WHERE key IN ({marks})"
    with closing(connection.execute(statement, keys)) as cursor:
        rows: list[tuple[bytes, int, bytes]] = cursor.fetchall()
    return rows


def _chunks(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[start : start + _CHUNK_KEYS] for start in range(0, len(keys), _CHUNK_KEYS))
