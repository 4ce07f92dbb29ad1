"""A released file as tensors: whatever holds them, a state dict comes out, and nothing in the file is executed.

Read are safetensors, TorchScript archives, and what ``torch.save`` writes, today's and the older format. What the names
of the tensors mean is the work of ``mapping`` and of the families.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from service.contract.manifest import file_digest
from service.contract.wording import list_some
from training.errors import ImportProblem
from training.importers.archives import read_legacy, read_zip
from training.importers.unpickling import StoredTensor

_WRAPPERS = ("model", "state_dict", "model_state_dict")
_PREFIX = "module."
_LFS = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK\x03\x04"
_HEAD_BYTES = 64
# An 8-byte length stands before the JSON header of safetensors.
_SAFETENSORS_BRACE = 8


@dataclass(frozen=True)
class Checkpoint:
    """A released file: its tensors by name, floating ones in fp32, and the plain data stored beside them.

    ``digest`` is the SHA-256 of the file.
    """

    path: Path
    digest: str
    tensors: dict[str, Tensor]
    extras: dict[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file's model.

    A state dict may lie under ``model``, ``state_dict`` or ``model_state_dict``, and all of its names may begin with
    ``module.``. Of what lies beside it, plain data is kept and tensors, such as those of an optimizer, are not read.

    Raises:
        ImportProblem: the file is missing, empty, truncated or no checkpoint; it wants something to be called; or a
            tensor holds numbers that are not finite.
    """
    if not path.is_file():
        raise ImportProblem(f"{path} is no file; give the checkpoint itself")
    read = _find_reader(path)
    try:
        state, extras = _unwrap(read(path))
        tensors = {name: _load(value) for name, value in state.items()}
    except ImportProblem:
        raise
    except Exception as error:  # A damaged file can make its reader fail in any way.
        raise ImportProblem(f"{path} cannot be read; it is truncated, damaged or no checkpoint: {error}") from error
    if not tensors:
        raise ImportProblem(f"{path} holds no tensors, only {', '.join(map(str, extras)) or 'nothing'}")
    _check_finite(tensors, path=path)
    return Checkpoint(path, file_digest(path), _strip_prefix(tensors), extras)


def _find_reader(path: Path) -> Callable[[Path], Any]:
    """Tell containers apart by their first bytes; endings of names say little."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise ImportProblem(f"{path} is empty; download it again")
    if head.startswith(_LFS):
        raise ImportProblem(f"{path} is a Git LFS pointer, not the file that it stands for; fetch it by git lfs pull")
    if head.startswith(_ZIP):
        return read_zip
    if head[:1] == b"\x80":
        return read_legacy
    if head[_SAFETENSORS_BRACE : _SAFETENSORS_BRACE + 1] == b"{":
        return load_file
    raise ImportProblem(
        f"{path} is no checkpoint: it begins with {head[:16]!r}, as neither safetensors nor files of torch do"
    )


def _unwrap(value: object) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Find the state dict, and the plain data beside it."""
    if not isinstance(value, Mapping):
        raise ValueError(f"it holds a {type(value).__name__}, not a state dict")
    wrappers = [name for name in _WRAPPERS if isinstance(value.get(name), Mapping)]
    if not wrappers:
        tensors = {name: each for name, each in value.items() if isinstance(each, Tensor | StoredTensor)}
        return tensors, {str(name): _simplify(each) for name, each in value.items() if _is_plain(each)}
    state = value[wrappers[0]]
    if others := [name for name, each in state.items() if not isinstance(each, Tensor | StoredTensor)]:
        raise ValueError(f"its {wrappers[0]} has values that are no tensors: {list_some(others)}")
    beside = {str(name): each for name, each in value.items() if name != wrappers[0]}
    return state, {name: _simplify(each) for name, each in beside.items() if _is_plain(each)}


def _load(value: Tensor | StoredTensor) -> Tensor:
    tensor = value.load() if isinstance(value, StoredTensor) else value
    return tensor.float() if tensor.is_floating_point() else tensor


def _strip_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if not all(name.startswith(_PREFIX) for name in tensors):
        return tensors
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _check_finite(tensors: Mapping[str, Tensor], *, path: Path) -> None:
    broken = [name for name, each in tensors.items() if each.is_floating_point() and not bool(each.isfinite().all())]
    if broken:
        raise ImportProblem(
            f"{path} has tensors with numbers that are not finite: {list_some(broken)}; the file is "
            "damaged, or its training diverged"
        )


def _is_plain(value: object) -> bool:
    return not any(isinstance(each, Tensor | StoredTensor) for each in _walk(value))


def _walk(value: object) -> Iterator[object]:
    """Iterate over a value and everything inside it."""
    yield value
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set):
        for each in value:
            yield from _walk(each)


def _simplify(value: object) -> Any:  # noqa: ANN401
    """Turn mappings into dicts and other collections into lists, at every depth, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _simplify(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_simplify(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
