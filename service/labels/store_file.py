"""The SQLite file of label embeddings as a file: its layout, its bound in bytes, and moving it out of the way."""

import sqlite3
from contextlib import closing
from pathlib import Path

from service.labels.entries import LAYOUT

# An entry without words has 2 KB of 512 numbers, of which a page of 4 KB would hold one.
_PAGE_BYTES = 16_384
# About 4 MB of log before it is written into the file.
_LOG_PAGES = 256
# Whoever writes waits in a thread of its own, and no answer for it; whoever reads does not wait at all.
_WRITE_SECONDS = 0.25
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used)",
    "CREATE TABLE IF NOT EXISTS embeddings (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    f"PRAGMA user_version = {LAYOUT}",
)


class LayoutError(Exception):
    """A file of another version of the service.

    Args:
        layout: the number of its layout.
    """

    def __init__(self, layout: int) -> None:
        super().__init__(f"the file has layout {layout}; {LAYOUT} is read")
        self.layout = layout


def open_or_create(path: Path) -> sqlite3.Connection:
    """Open a file for writing, new or not.

    Raises:
        LayoutError: another version of the service made it.
        sqlite3.Error: it is damaged, locked, or its place cannot be used.
    """
    connection = sqlite3.connect(path, timeout=_WRITE_SECONDS, check_same_thread=False, isolation_level=None)
    try:
        # Both hold for a file without tables only: pages that become free at the end can be given back.
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _check_layout(connection)
        # Who reads does not wait for who writes; a power failure costs the last entries, and not the file.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_PAGES * _PAGE_BYTES}")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
    except (sqlite3.Error, LayoutError):
        connection.close()
        raise
    return connection


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a file that is there, for reading, without ever waiting for a lock.

    Raises:
        sqlite3.Error: it is not there, or its place cannot be used.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=0.0, check_same_thread=False, isolation_level=None)


def bytes_in_use(connection: sqlite3.Connection) -> int:
    """The bytes of a file's pages that hold something."""
    return (_ask(connection, "page_count") - _ask(connection, "freelist_count")) * _ask(connection, "page_size")


def bound(connection: sqlite3.Connection, *, max_bytes: int) -> None:
    """Make a file as short as what it holds, and let it grow to so many bytes; other connections know no bound."""
    # A script, because each page is a row without columns, after the first of which a plain statement would end.
    connection.executescript("PRAGMA incremental_vacuum")
    connection.execute(f"PRAGMA max_page_count = {max(max_bytes // _ask(connection, 'page_size'), 1)}").fetchall()


def is_whole(path: Path) -> bool:
    """Whether a file is a database of this layout without damage; reads all of it."""
    try:
        with closing(open_or_create(path)) as connection:
            found = connection.execute("PRAGMA integrity_check (1)").fetchall()
    except sqlite3.Error as error:
        return not is_damage(error)
    except LayoutError:
        return False
    return found == [("ok",)]


def is_damage(error: Exception) -> bool:
    """Whether an error says that a file's content is wrong, and not the time, the place or the disk."""
    return _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_lock(error: Exception) -> bool:
    """Whether an error says that somebody else uses a file."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def move_aside(path: Path, *, suffix: str) -> Path:
    """Give a file and what belongs to it other names, in place of the last that was moved there.

    Raises:
        OSError: the folder cannot be changed.
    """
    kept = path.with_name(f"{path.name}.{suffix}")
    # The file last: a log without its file is taken for the log of the next one.
    for part in ("-wal", "-shm", ""):
        old, new = (each.with_name(each.name + part) for each in (path, kept))
        if old.exists():
            old.replace(new)
        else:
            new.unlink(missing_ok=True)
    return kept


def _check_layout(connection: sqlite3.Connection) -> None:
    layout = _ask(connection, "user_version")
    [(num_tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema")
    if num_tables and layout != LAYOUT:
        # The first layout had no number.
        raise LayoutError(layout or 1)


def _primary_code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _ask(connection: sqlite3.Connection, name: str) -> int:
    [(value,)] = connection.execute(f"PRAGMA {name}").fetchall()
    return int(value)
