"""Containers of checkpoints: the same tensors from each, plain data beside them, and bad files refused unread."""

import hashlib
import pickle
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.importers.released import (
    Payload,
    Scripted,
    as_yacs,
    write_legacy,
    write_pickle,
    write_safetensors,
    write_script,
    write_zip,
)
from training.errors import ImportProblem
from training.importers.container import read_checkpoint

Write = Callable[[Path, Any], Path]
WHOLE = torch.arange(12.0).reshape(3, 4)
STATE = {"a.weight": WHOLE, "b": torch.tensor([7]), "c": torch.empty(0, 2)}
WRITERS = pytest.mark.parametrize("write", [write_zip, write_legacy])


def check_state(tensors: dict[str, Tensor]) -> None:
    assert tensors.keys() == STATE.keys()
    for name, tensor in STATE.items():
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("write", [write_zip, write_legacy, write_safetensors])
def test_state_dict_of_every_container(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "file", STATE)
    checkpoint = read_checkpoint(path)
    check_state(checkpoint.tensors)
    assert checkpoint.path == path
    assert checkpoint.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.extras == {}


@WRITERS
@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict"])
def test_state_dict_inside_a_training_state(tmp_path: Path, write: Write, wrapper: str) -> None:
    state = OrderedDict((f"module.{name}", tensor) for name, tensor in STATE.items())
    value = {wrapper: state, "epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(1)}}, "lr": 0.1}}
    checkpoint = read_checkpoint(write(tmp_path / "file.pth", value))
    check_state(checkpoint.tensors)
    assert checkpoint.extras == {"epoch": 3}


@WRITERS
def test_views_parameters_and_modules_are_read(tmp_path: Path, write: Write) -> None:
    state = {"row": WHOLE[1], "turned": WHOLE.T, "weight": nn.Parameter(WHOLE), "size": WHOLE.shape}
    checkpoint = read_checkpoint(write(tmp_path / "file", state))
    expected = {"row": WHOLE[1], "turned": WHOLE.T, "weight": WHOLE}
    assert checkpoint.tensors.keys() == expected.keys()
    assert all(torch.equal(checkpoint.tensors[name], tensor) for name, tensor in expected.items())
    assert checkpoint.extras == {"size": [3, 4]}


@WRITERS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_tensors_become_fp32(tmp_path: Path, write: Write, dtype: torch.dtype) -> None:
    tensors = read_checkpoint(write(tmp_path / "file", {"a": WHOLE.to(dtype), "b": torch.tensor([7])})).tensors
    assert torch.equal(tensors["a"], WHOLE)
    assert tensors["a"].dtype is torch.float32
    assert tensors["b"].dtype is torch.int64


@WRITERS
def test_config_of_yacs_and_numbers_of_numpy_are_plain_data(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = as_yacs({"DATA": {"NUM_FRAMES": 16, "FILES": ("a", "b")}, "USE": "both"}, monkeypatch)
    beside = {
        "config": config,
        "max_accuracy": np.float64(83.25),
        "step": np.int32(-5),
        "seen": {1},
        "at": Counter({3: 1}),
    }
    path = write(tmp_path / "file", {"model": STATE, **beside})
    monkeypatch.delitem(sys.modules, "yacs.config")
    assert read_checkpoint(path).extras == {
        "config": {"DATA": {"NUM_FRAMES": 16, "FILES": ["a", "b"]}, "USE": "both"},
        "max_accuracy": 83.25,
        "step": -5,
        "seen": [1],
        "at": {"3": 1},
    }


@pytest.mark.parametrize("half", [False, True])
def test_script_archive_gives_parameters_and_buffers_alone(tmp_path: Path, half: bool) -> None:
    model = Scripted().half() if half else Scripted()
    example = torch.zeros(2, 2, dtype=torch.float16 if half else torch.float32)
    tensors = read_checkpoint(write_script(tmp_path / "ViT.pt", model, example=example)).tensors
    expected = Scripted().state_dict()
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    ("write", "place"),
    [*product([write_zip, write_legacy], ["beside", "inside", "alone"]), (write_pickle, "alone")],
)
def test_pickle_that_runs_a_command_is_refused(tmp_path: Path, write: Write, place: str) -> None:
    payload = Payload(f"touch {tmp_path / 'ran'}")
    values = {"beside": {"model": STATE, "config": payload}, "inside": {"a": WHOLE, "b": payload}, "alone": payload}
    write(tmp_path / "file.pth", values[place])
    with pytest.raises(ImportProblem, match=r"file\.pth wants (posix|nt)\.system to be called, .* nothing of it was"):
        read_checkpoint(tmp_path / "file.pth")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(payload))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(("value", "name"), [(print, r"__builtin__\.print"), (nn.Linear(1, 1), r"torch\.nn\..*Linear")])
def test_other_classes_and_functions_are_refused_by_name(tmp_path: Path, value: object, name: str) -> None:
    with pytest.raises(ImportProblem, match=f"wants {name} to be called, which no checkpoint needs"):
        read_checkpoint(write_zip(tmp_path / "file", {"model": STATE, "other": value}))


@pytest.mark.parametrize("write", [write_zip, write_legacy, write_safetensors])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_truncated_file_is_named(tmp_path: Path, write: Write, share: float) -> None:
    path = write(tmp_path / "file.pth", {"a": torch.arange(1000.0)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ImportProblem, match=r"file\.pth cannot be read; it is truncated, damaged or no checkpoint: "):
        read_checkpoint(path)


def test_altered_byte_is_found(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "file.pth", {"a": torch.arange(1000.0)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ImportProblem, match=r"file\.pth cannot be read; .*: Bad CRC-32"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"file is empty; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", r"file is a Git LFS pointer, not the file"),
        (b"<!DOCTYPE html><html>", r"file is no checkpoint: it begins with b'<!DOCTYPE html><', as neither"),
        (pickle.dumps({"a": 1}), r"it is a pickle that torch did not write"),
        (pickle.dumps([1])[:-2], r"file cannot be read; it is truncated, damaged or no checkpoint: "),
    ],
)
def test_file_that_is_no_checkpoint(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ImportProblem, match=message):
        read_checkpoint(tmp_path / "file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([WHOLE], r"it holds a list, not a state dict"),
        ({"epoch": 3}, r"file holds no tensors, only epoch"),
        ({"model": {}}, r"file holds no tensors, only nothing"),
        ({"model": {**STATE, "name": "x"}}, r"its model has values that are no tensors: name"),
        ({"a": WHOLE, "when": np.datetime64(1, "s")}, r"a scalar of NumPy's type 'M8', which is no number"),
    ],
)
def test_torch_file_without_a_model(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(ImportProblem, match=message):
        read_checkpoint(write_zip(tmp_path / "file", value))


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_numbers_that_are_not_finite_are_named(tmp_path: Path, number: float) -> None:
    state = {"good": WHOLE} | {f"bad{index}": torch.tensor([1.0, number]).half() for index in range(7)}
    message = r"numbers that are not finite: bad0, bad1, bad2, bad3, bad4 and 2 more; the file is damaged"
    with pytest.raises(ImportProblem, match=message):
        read_checkpoint(write_zip(tmp_path / "file", state))


def rewrite(path: Path, *, name: str, content: bytes) -> None:
    """Replace one entry of an archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, old in entries.items():
            archive.writestr(each, content if each.endswith(name) else old)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("/data/0", b"1234", r"a storage of 12 numbers has only 4 bytes$"),
        ("/byteorder", b"big", r"its numbers are big-endian; save it again on a little-endian machine$"),
        ("/data.pkl", b"\x80\x02U\x06moduleQ.", r"cannot be read; "),
        ("/data.pkl", b"\x80\x02(U\x06moduleK\x00K\x00K\x00K\x00tQ.", r"it refers to 'module' of 0, which is no whole"),
    ],
)
def test_damaged_archive_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write_zip(tmp_path / "file.pth", {"a": WHOLE})
    rewrite(path, name=name, content=content)
    with pytest.raises(ImportProblem, match=message):
        read_checkpoint(path)


def test_archive_of_something_else_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file.zip", "w") as archive:
        archive.writestr("readme.txt", "weights")
    with pytest.raises(ImportProblem, match=r"it is a zip archive without torch's data\.pkl; it holds readme\.txt$"):
        read_checkpoint(tmp_path / "file.zip")


def test_tensor_that_repeats_few_numbers_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "file.pth", {"a": torch.zeros(1).expand(10**12)})
    with pytest.raises(ImportProblem, match=r"a tensor of shape \(1000000000000,\) lies in a storage of 1 numbers$"):
        read_checkpoint(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match=r"away\.pth is no file; give the checkpoint itself"):
        read_checkpoint(tmp_path / "away.pth")
