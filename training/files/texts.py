"""Small text files: reading those of others as lines, rows or JSON, and writing our own.

What they mean is settled by their readers.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from service.contract.files import write_whole
from service.contract.texts import TextEncodingError, decode_text
from training.errors import DataError

# Names may begin and end with other white space, such as U+0085.
_BLANKS = " \t"


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: there is no such file, or it is no UTF-8 text.
    """
    try:
        return decode_text(path.read_bytes(), name=str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except TextEncodingError as error:
        raise DataError(str(error)) from error


def read_lines(path: Path) -> list[str]:
    """Read lines without their ends, which may be LF or CR LF.

    Raises:
        DataError: see ``read_text``.
    """
    # Not splitlines, which also breaks at characters that names may hold, such as U+0085.
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def read_rows(path: Path, *, delimiter: str = ",") -> list[list[str]]:
    """Read the rows of a table, without empty ones and with blanks around cells removed.

    Raises:
        DataError: see ``read_text``.
    """
    rows = csv.reader(StringIO(read_text(path), newline=""), delimiter=delimiter)
    return [cells for row in rows if any(cells := [cell.strip(_BLANKS) for cell in row])]


def read_records(path: Path) -> list[dict[str, str]]:
    """Read a table with a header; a row that is too short has empty cells.

    Raises:
        DataError: there is no header, or see ``read_text``.
    """
    header, *rows = read_rows(path) or [[]]
    if not header:
        raise DataError(f"{path} is empty; it must start with a header")
    return [dict(zip(header, row + [""] * (len(header) - len(row)), strict=False)) for row in rows]


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a JSON file.

    Raises:
        DataError: the text is no JSON, a key of an object is given twice, or see ``read_text``.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=_refuse_repeats)
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        key = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {key!r} is given {keys.count(key)} times; rename or remove one")
    return values


def write_text(path: Path, *, text: str) -> None:
    """Write a text file, complete or not at all."""
    with write_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="")


def render_json(values: object) -> str:
    """Render JSON for people to read, with a final newline."""
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def render_rows(rows: Iterable[Sequence[str]]) -> str:
    """Render a table."""
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_rows(path: Path, *, rows: Iterable[Sequence[str]]) -> None:
    """Write a table, complete or not at all."""
    write_text(path, text=render_rows(rows))
