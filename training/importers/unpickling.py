"""Pickles of checkpoints read as data: tensors, numbers, texts and collections, and nothing that a file could call.

A pickle names functions that its reader calls. Here every name stands for one of the harmless functions below, or is
refused. Where storages lie in a file is the work of ``archives``.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.errors import ImportProblem

STORAGE_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "FloatStorage": torch.float32,
        "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16,
        "DoubleStorage": torch.float64,
        "LongStorage": torch.int64,
        "IntStorage": torch.int32,
        "ShortStorage": torch.int16,
        "CharStorage": torch.int8,
        "ByteStorage": torch.uint8,
        "BoolStorage": torch.bool,
    }
)
# Modules of a TorchScript archive are pickled as objects of classes under this name.
_SCRIPT = "__torch__"
_NUMBER_KINDS = "biuf"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still in its file; ``load_storage`` reads the storage that it is a view of."""

    load_storage: Callable[[], Tensor]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def load(self) -> Tensor:
        """Read the tensor.

        Raises:
            ValueError: it has more numbers than its storage.
            RuntimeError: it reaches beyond its storage.
        """
        storage = self.load_storage()
        if prod(self.size) > storage.numel():
            raise ValueError(f"a tensor of shape {self.size} lies in a storage of {storage.numel()} numbers")
        return storage.as_strided(self.size, self.stride, self.offset)


class ScriptObject:
    """A module of a TorchScript archive: its attributes, without its code."""

    qualified_name = ""
    attributes: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = dict(state)


class PlainUnpickler(pickle.Unpickler):
    """Read one pickle; tensors come out as ``StoredTensor``, every mapping as a plain one."""

    def __init__(self, file: BufferedIOBase, *, source: str, open_storage: Callable[..., Callable[[], Tensor]]) -> None:
        """``open_storage(key, dtype=..., num_elements=...)`` returns the function that reads a storage."""
        super().__init__(file)
        self._source, self._open_storage = source, open_storage

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """Return the harmless stand-in for what a pickle names.

        Raises:
            ImportProblem: there is none.
        """
        if module == _SCRIPT or module.startswith(f"{_SCRIPT}."):
            return type(name, (ScriptObject,), {"qualified_name": f"{module}.{name}"})
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if (module, name) not in _STAND_INS:
            raise ImportProblem(
                f"{self._source} wants {module}.{name} to be called, which no checkpoint needs; nothing of it was run. "
                "Get the file from its authors, or save its tensors alone as .safetensors where you trust it"
            )
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> Callable[[], Tensor]:  # noqa: ANN401
        """Return the function that reads the storage that a pickle refers to.

        Raises:
            ValueError: it refers to something else.
        """
        kind, dtype, key, _, num_elements, *view = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or any(view):
            raise ValueError(f"it refers to {kind!r} of {dtype}, which is no whole storage")
        return self._open_storage(str(key), dtype=dtype, num_elements=int(num_elements))


class _PlainMapping(dict[Any, Any]):
    """A mapping of a class of its own, such as a config, without what that class adds."""

    def __setstate__(self, state: object) -> None:
        """Ignore attributes."""


class _NumpyType:
    """A type of NumPy, and its byte order."""

    def __init__(self, kind: str, *_: object) -> None:
        self.kind, self.order = kind, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1].replace("|", "=")


def _read_scalar(kind: _NumpyType, data: bytes) -> object:
    if kind.kind[0] not in _NUMBER_KINDS:
        raise ValueError(f"it holds a scalar of NumPy's type {kind.kind!r}, which is no number")
    dtype = np.dtype(f"{kind.order}{kind.kind}")
    return np.frombuffer(data, dtype=dtype, count=1)[0].item()


def _encode(text: str, _: str) -> bytes:
    # How Python 3 writes bytes in the protocol that torch uses.
    return text.encode("latin1")


def _rebuild_tensor(
    load_storage: Callable[[], Tensor], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> StoredTensor:
    return StoredTensor(load_storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _first(value: object, *_: object) -> object:
    return value


_STAND_INS: Mapping[tuple[str, str], Any] = MappingProxyType(
    {
        ("collections", "OrderedDict"): _PlainMapping,
        ("collections", "Counter"): _PlainMapping,
        ("yacs.config", "CfgNode"): _PlainMapping,
        ("builtins", "set"): set,
        ("__builtin__", "set"): set,
        ("_codecs", "encode"): _encode,
        ("torch", "Size"): tuple,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _first,
        ("numpy", "dtype"): _NumpyType,
        ("numpy.core.multiarray", "scalar"): _read_scalar,
        ("numpy._core.multiarray", "scalar"): _read_scalar,
        ("torch.jit._pickle", "build_intlist"): _first,
        ("torch.jit._pickle", "build_doublelist"): _first,
        ("torch.jit._pickle", "build_boollist"): _first,
        ("torch.jit._pickle", "build_tensorlist"): _first,
        ("torch.jit._pickle", "restore_type_tag"): _first,
    }
)
