"""Bundles to publish, file systems to publish to, and file systems that die on the way."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import fsspec
import onnx
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from service.contract.graphs import graph_specs
from service.contract.layout import graph_file
from service.contract.manifest import open_bundle
from tests.tiny_graphs import seal_bundle, write_tiny_bundle
from training.export.triton import Deployment, render_triton_config


def write_bundle(directory: Path, *, remark: str = "", deployment: Deployment | None = None) -> Path:
    """Write a bundle that verifies; another remark makes another bundle of the same answers."""
    write_tiny_bundle(directory)
    for spec in graph_specs(open_bundle(directory).manifest):
        path = directory / graph_file(spec.name, "onnx")
        graph = onnx.load(path)
        graph.doc_string = remark
        onnx.save(graph, path)
        config = render_triton_config(spec, graph_format="onnx", deployment=deployment)
        (directory / spec.name / "config.pbtxt").write_text(config, encoding="utf-8")
    seal_bundle(directory)
    return directory


def read_tree(url: str) -> dict[str, bytes]:
    """All files of a repository by their names, without the ledger and the lock of a folder."""
    files, root = fsspec.url_to_fs(url)
    paths = files.find(root, withdirs=False)
    tree = {str(path)[len(root) :].lstrip("/"): files.cat_file(path) for path in paths}
    return {name: content for name, content in tree.items() if name not in ("publications.json", ".publish.lock")}


def expected_tree(versions: Mapping[int, Path], *, current: Path) -> dict[str, bytes]:
    """What a repository must hold: the graphs of all versions, and the configurations of the current one."""
    tree = {}
    for model in ("video_encoder", "text_encoder_en", "text_encoder_zh"):
        tree[f"{model}/config.pbtxt"] = (current / model / "config.pbtxt").read_bytes()
        for version, bundle in versions.items():
            tree[f"{model}/{version}/model.onnx"] = (bundle / model / "1" / "model.onnx").read_bytes()
    return tree


def _strip_as_memory(protocol: str, path: str) -> str:
    return str(MemoryFileSystem._strip_protocol(str(path).replace(f"{protocol}://", "memory://")))


class MachineDiedError(BaseException):
    """Nothing runs any more, not even what cleans up."""


class _Dying:
    """Counts what changes files, and dies at the operation ``dies_at`` and ever after."""

    dies_at: ClassVar[float] = float("inf")
    num_operations: ClassVar[int] = 0

    def _change(self) -> None:
        cls = type(self)
        cls.num_operations += 1
        if cls.num_operations >= cls.dies_at:
            raise MachineDiedError(f"operation {cls.num_operations}")

    def put_file(self, *arguments: object, **options: object) -> None:
        self._change()
        super().put_file(*arguments, **options)  # type: ignore[misc]

    def pipe_file(self, *arguments: object, **options: object) -> None:
        self._change()
        super().pipe_file(*arguments, **options)  # type: ignore[misc]

    def mv(self, *arguments: object, **options: object) -> None:
        self._change()
        super().mv(*arguments, **options)  # type: ignore[misc]

    def rm(self, *arguments: object, **options: object) -> None:
        self._change()
        super().rm(*arguments, **options)  # type: ignore[misc]


class DyingStore(_Dying, MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory."""

    protocol = "dyingstore"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return _strip_as_memory(cls.protocol, path)


class DyingDisk(_Dying, LocalFileSystem):  # type: ignore[misc]
    """A folder on disk."""

    protocol = "dyingdisk"
    cachable = False


class _Lossy:
    """Keeps the beginning of what it is sent."""

    def put_file(self, *arguments: str) -> None:
        source, target = arguments
        self.pipe_file(target, Path(source).read_bytes()[:100])  # type: ignore[attr-defined]


class LossyStore(_Lossy, MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory."""

    protocol = "lossystore"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return _strip_as_memory(cls.protocol, path)


class LossyDisk(_Lossy, LocalFileSystem):  # type: ignore[misc]
    """A folder on disk."""

    protocol = "lossydisk"
