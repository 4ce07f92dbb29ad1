"""Where the pickles and the numbers of a torch file lie: zip archives, TorchScript archives, and the older format.

What a pickle may say is the work of ``unpickling``; which part of it is a model's, of ``container``.
"""

import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.contract.wording import list_some
from training.importers.unpickling import PlainUnpickler, ScriptObject

# The first pickle of a file of the older format.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_REGISTERED = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)


def read_zip(path: Path) -> Any:  # noqa: ANN401
    """Read what ``torch.save`` wrote, or the parameters and buffers of a TorchScript archive by their full names.

    Raises:
        zipfile.BadZipFile: the archive is truncated or damaged.
        ValueError: it is not torch's, or not written on a machine of this kind.
        ImportProblem: it wants something to be called.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"it is a zip archive without torch's data.pkl; it holds {list_some(names)}")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("its numbers are big-endian; save it again on a little-endian machine")
        content = archive.read(pickles[0])

    @cache
    def load(key: str, dtype: torch.dtype, num_elements: int) -> Tensor:
        with zipfile.ZipFile(path) as archive:
            return _as_storage(archive.read(f"{root}data/{key}"), dtype=dtype, num_elements=num_elements)

    def open_storage(key: str, *, dtype: torch.dtype, num_elements: int) -> Callable[[], Tensor]:
        return lambda: load(key, dtype, num_elements)

    value = PlainUnpickler(BytesIO(content), source=str(path), open_storage=open_storage).load()
    if not isinstance(value, ScriptObject):
        return value
    with zipfile.ZipFile(path) as archive:
        return dict(_list_registered(value, prefix="", archive=archive, root=root))


def read_legacy(path: Path) -> Any:  # noqa: ANN401
    """Read what ``torch.save`` wrote before torch 1.6: pickles one after another, then the storages.

    Raises:
        ValueError: it is a pickle, but not torch's.
        ImportProblem: it wants something to be called.
    """
    dtypes: dict[str, torch.dtype] = {}
    places: dict[str, tuple[int, int]] = {}

    @cache
    def load(key: str) -> Tensor:
        position, num_elements = places[key]
        with path.open("rb") as file:
            file.seek(position)
            data = file.read(num_elements * dtypes[key].itemsize)
        return _as_storage(data, dtype=dtypes[key], num_elements=num_elements)

    def open_storage(key: str, *, dtype: torch.dtype, num_elements: int) -> Callable[[], Tensor]:  # noqa: ARG001
        dtypes[key] = dtype
        return lambda: load(key)

    with path.open("rb") as file:

        def unpickle() -> Any:  # noqa: ANN401
            return PlainUnpickler(file, source=str(path), open_storage=open_storage).load()

        if unpickle() != _LEGACY_MAGIC or unpickle() != _LEGACY_VERSION or not unpickle()["little_endian"]:
            raise ValueError("it is a pickle that torch did not write on a little-endian machine")
        value, keys = unpickle(), unpickle()
        for key in keys:
            (num_elements,) = struct.unpack("<q", file.read(8))
            places[key] = file.tell(), num_elements
            file.seek(num_elements * dtypes[key].itemsize, 1)
    return value


def _as_storage(data: bytes, *, dtype: torch.dtype, num_elements: int) -> Tensor:
    if len(data) < num_elements * dtype.itemsize:
        raise ValueError(f"a storage of {num_elements} numbers has only {len(data)} bytes")
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _list_registered(
    module: ScriptObject, *, prefix: str, archive: zipfile.ZipFile, root: str
) -> Iterator[tuple[str, Any]]:
    """Iterate over parameters and buffers; other tensors, such as masks, are attributes that no state dict has."""
    registered = _read_registered(module.qualified_name, archive=archive, root=root)
    for name, value in module.attributes.items():
        if isinstance(value, ScriptObject):
            yield from _list_registered(value, prefix=f"{prefix}{name}.", archive=archive, root=root)
        elif name in registered:
            yield f"{prefix}{name}", value


def _read_registered(qualified_name: str, *, archive: zipfile.ZipFile, root: str) -> set[str]:
    """Read from a class's source, as text, which of its attributes are parameters and buffers."""
    module, _, name = qualified_name.rpartition(".")
    source = archive.read(f"{root}code/{module.replace('.', '/')}.py").decode()
    _, _, after = source.partition(f"class {name}(Module):\n")
    own = after.split("\nclass ", 1)[0]
    return {each for found in _REGISTERED.findall(own) for each in re.findall(r'"([^"]*)"', found)}
