"""Lists of class names in the layouts that public data sets use, read with what is odd about them.

Recognised are ``id,name`` and ``id,en,zh`` tables, one name a line, ``id name`` and ``id: name`` lines, ``name,id``
lines, and JSON of names, of names with ids, or of ids with names. The order of names is settled in ``label_orders``.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.contract.labels import read_label_table, text_key
from service.contract.wording import list_some
from training.errors import DataError
from training.files.texts import read_json, read_lines, read_rows

_ID_FIRST = re.compile(r"([0-9]+)(?::\s*|\s+)(\S.*)")
_ID_LAST = re.compile(r"(\S.*?)\s*,\s*([0-9]+)")
# An id, where the list has ids, and a name.
_Entry = tuple[int | None, str]


@dataclass(frozen=True)
class ClassList:
    """Names in the order of their ids; ``ids`` are those of the file, or the lines' where it has none.

    ``problems`` make the list unfit as it is, ``notes`` say what is unusual about the file.
    """

    path: Path
    names: tuple[str, ...]
    ids: tuple[int, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def require_sound(self) -> tuple[str, ...]:
        """Return the names of a list without problems.

        Raises:
            DataError: there are problems; they are named.
        """
        if self.problems:
            raise DataError(f"{self.path}: {'; '.join(self.problems)}. Correct the list, and what refers to it")
        return self.names


def read_class_list(path: Path) -> ClassList:
    """Read a list of classes in any known layout.

    Raises:
        DataError: the file cannot be read, holds no class, or a row is in no layout.
        LabelError: a table with ``id,en,zh`` is wrong.
    """
    entries = list(_read_json(path) if path.suffix == ".json" else _read_text(path))
    if not entries:
        raise DataError(f"{path} holds no class; list the names, one a line")
    if any(label_id is None for label_id, _ in entries):
        ids = list(range(len(entries)))
    else:
        ids = [label_id for label_id, _ in entries if label_id is not None]
    ordered = sorted(zip(ids, [name for _, name in entries], strict=True), key=lambda entry: entry[0])
    return ClassList(
        path=path,
        names=tuple(name for _, name in ordered),
        ids=tuple(label_id for label_id, _ in ordered),
        problems=tuple(_find_problems(ordered)),
        notes=tuple(_find_notes(path, ordered)),
    )


def _find_problems(ordered: Sequence[tuple[int, str]]) -> Iterator[str]:
    names_of: dict[int, list[str]] = defaultdict(list)
    for label_id, name in ordered:
        names_of[label_id].append(name)
    for label_id, names in names_of.items():
        if len(names) > 1:
            yield f"id {label_id} is given to {' and to '.join(map(repr, names))}"
    ids_of: dict[str, list[int]] = defaultdict(list)
    for label_id, name in ordered:
        ids_of[text_key(name)].append(label_id)
    for label_id, name in ordered:
        own = ids_of[text_key(name)]
        if len(own) > 1 and own[0] == label_id:
            yield f"{name!r} stands at {' and '.join(map(str, own))}"
    ids = {label_id for label_id, _ in ordered}
    first, last = min(ids), max(ids)
    if first > 1:
        yield f"ids start at {first}, not at 0 or 1"
    if gaps := [str(label_id) for label_id in range(first, last) if label_id not in ids]:
        yield f"between the ids {first} and {last} {len(gaps)} are missing: {list_some(gaps)}"


def _find_notes(path: Path, ordered: Sequence[tuple[int, str]]) -> Iterator[str]:
    if ordered[0][0] == 1:
        yield "ids count from 1"
    if b"\r\n" in path.read_bytes():
        yield "lines end with CR LF"


def _read_json(path: Path) -> Iterator[_Entry]:
    values: Any = read_json(path)
    if isinstance(values, list) and all(isinstance(each, str) for each in values):
        yield from ((None, name) for name in values)
        return
    if not isinstance(values, Mapping):
        raise DataError(f"{path} holds neither a list of names nor an object of names and ids")
    for key, value in values.items():
        if str(value).isdecimal():
            yield int(value), key
        elif key.isdecimal() and isinstance(value, str):
            yield int(key), value
        else:
            raise DataError(f"{path}: {key!r} with {value!r} is no name with an id")


def _read_text(path: Path) -> Iterator[_Entry]:
    lines = [line.strip() for line in read_lines(path) if line.strip()]
    header = [cell.strip() for cell in lines[0].split(",")] if lines else []
    if header[:2] == ["id", "name"]:
        yield from _read_table(path)
    elif header[:3] == ["id", "en", "zh"]:
        yield from enumerate(read_label_table(path).originals)
    elif lines and all(_ID_FIRST.fullmatch(line) for line in lines):
        yield from ((int(match[1]), match[2]) for match in map(_ID_FIRST.fullmatch, lines) if match)
    elif lines and all(_ID_LAST.fullmatch(line) for line in lines):
        yield from ((int(match[2]), match[1]) for match in map(_ID_LAST.fullmatch, lines) if match)
    else:
        yield from ((None, line) for line in lines)


def _read_table(path: Path) -> Iterator[_Entry]:
    for row in read_rows(path)[1:]:
        if len(row) != 2 or not row[0].isdecimal() or not row[1]:
            raise DataError(f"{path}: row {row} must be an id and a name; quote a name that holds a comma")
        yield int(row[0]), row[1]
