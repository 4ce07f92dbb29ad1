"""A Triton model repository that bundles are published to: a folder on disk, or a place in an object store.

Layout, the models of several bundles' versions side by side and the ledger beside them, where Triton looks for nothing:

    publications.json            which versions there are, what they are, and which one is current
    video_encoder/config.pbtxt   of the current version; Triton has one for all versions of a model
    video_encoder/3/model.onnx
    text_encoder_en/...

On disk every file and folder appears and disappears by renaming. An object store has no renaming, but shows an object
complete or not at all; there, one command at a time is the rule that nothing enforces.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from service.contract.layout import config_file
from service.contract.manifest import Digest, Positive, Record, file_digest
from training.errors import PublishError
from training.files.locks import lock_if_free

LEDGER_NAME = "publications.json"
_LOCK_NAME = ".publish.lock"


class PublishedFile(Record):
    """One file of a version's folder."""

    digest: Digest
    num_bytes: int


class PublishedModel(Record):
    """One model of a publication: what goes in and out of it, its configuration and its files by name."""

    interface: str
    config: str
    files: dict[str, PublishedFile]


class Publication(Record):
    """One version of a bundle; ``arriving`` and ``withdrawn`` ones are not to be used, and are cleared away."""

    version: Positive
    state: Literal["arriving", "published", "withdrawn", "outdated"]
    name: str
    digest: Digest
    models: dict[str, PublishedModel]


class Ledger(Record):
    """All publications of a repository, oldest first; no version number is ever used twice."""

    format_version: Literal[1] = 1
    current: Positive | None = None
    last_version: int = 0
    publications: tuple[Publication, ...] = ()

    @property
    def published(self) -> tuple[Publication, ...]:
        """The publications that can be used, oldest first."""
        return tuple(each for each in self.publications if each.state == "published")

    def find(self, version: int | None) -> Publication | None:
        """The publication with a version."""
        return next((each for each in self.published if each.version == version), None)

    def replace(self, *changed: Publication) -> tuple[Publication, ...]:
        """The publications with some of them changed."""
        by_version = {each.version: each for each in changed}
        return tuple(by_version.get(each.version, each) for each in self.publications)


class TritonRepository:
    """Files of a repository, and its ledger.

    Args:
        url: a folder, or a URL of any file system that fsspec knows, such as ``s3://bucket/models``.

    Raises:
        PublishError: no such kind of file system is known or installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._files, self._root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise PublishError(f"{url} cannot be opened: {error}; give a folder, or a URL that fsspec knows") from error
        self._is_local = isinstance(self._files, LocalFileSystem)
        self._files.invalidate_cache()

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Keep other commands out of a folder while this one works; an object store has no locks.

        Raises:
            PublishError: another command is at work, or the file system refuses something.
        """
        lock = lock_if_free(Path(self._root, _LOCK_NAME)) if self._is_local else contextlib.nullcontext(True)
        try:
            with lock as is_free:
                if not is_free:
                    raise PublishError(f"another command is publishing to {self.url}; wait until it is done")
                yield
        except OSError as error:
            raise PublishError(
                f"{self.url} cannot be used: {error}; check the address and who may write there"
            ) from error

    def read_ledger(self) -> Ledger | None:
        """Read the ledger, or None where nothing was published yet.

        Raises:
            PublishError: it cannot be read.
        """
        if not self._files.exists(self._path(LEDGER_NAME)):
            return None
        try:
            return Ledger.model_validate_json(self._files.cat_file(self._path(LEDGER_NAME)))
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
            raise PublishError(f"{self.url}/{LEDGER_NAME} is no ledger: {problems}; restore it from a copy") from error

    def write_ledger(self, ledger: Ledger) -> None:
        """Replace the ledger, at once."""
        self._replace_text(LEDGER_NAME, text=ledger.model_dump_json(indent=2) + "\n")

    def write_config(self, model: str, *, text: str) -> None:
        """Replace the configuration of a model, at once, unless it is the same."""
        path = config_file(model)
        if not self._files.exists(self._path(path)) or self._files.cat_file(self._path(path)) != text.encode():
            self._replace_text(path, text=text)

    def list_versions(self, model: str) -> list[int]:
        """The versions of a model that Triton would find."""
        try:
            paths = self._files.ls(self._path(model), detail=False)
        except FileNotFoundError:
            return []
        names = [PurePosixPath(path).name for path in paths]
        return sorted(int(name) for name in names if name.isdecimal())

    def has_model(self, model: str) -> bool:
        """Whether anything is where a model would be."""
        return bool(self._files.exists(self._path(model)))

    def add_version(
        self, model: str, *, version: int, sources: dict[str, Path], files: dict[str, PublishedFile]
    ) -> None:
        """Copy the files of a version's folder, which on disk appears when it is complete.

        Raises:
            PublishError: a file did not arrive as it was sent.
        """
        folder = self._staging(model, version) if self._is_local else self._path(f"{model}/{version}")
        if self._is_local:
            self._files.makedirs(folder, exist_ok=True)
        # The graph itself comes last: a version without one is none yet.
        for name in sorted(files, key=lambda name: (name.startswith("model."), name)):
            self._files.put_file(str(sources[name]), f"{folder}/{name}")
            self._check_file(f"{folder}/{name}", expected=files[name])
        if self._is_local:
            self._files.mv(folder, self._path(f"{model}/{version}"))

    def check_version(self, model: str, *, version: int, files: dict[str, PublishedFile]) -> None:
        """Check that a version's folder holds its files.

        Raises:
            PublishError: one is missing or altered.
        """
        for name, expected in files.items():
            self._check_file(self._path(f"{model}/{version}/{name}"), expected=expected)

    def remove_version(self, model: str, *, version: int) -> None:
        """Remove a version's folder, finished or not, if it is there."""
        folder, staging = self._path(f"{model}/{version}"), self._staging(model, version)
        if self._is_local and self._files.exists(folder):
            self._remove(staging)
            self._files.mv(folder, staging)
        self._remove(staging)
        self._remove(folder)

    def remove_model(self, model: str) -> None:
        """Remove a model that has no versions any more."""
        self._remove(self._path(model))

    def _check_file(self, path: str, *, expected: PublishedFile) -> None:
        num_bytes = self._files.size(path) if self._files.exists(path) else 0
        is_same = num_bytes == expected.num_bytes
        # Reading back from an object store would move every byte again; its own protocol has check sums.
        if is_same and self._is_local:
            is_same = file_digest(Path(path)) == expected.digest
        if not is_same:
            raise PublishError(
                f"{path} is missing or altered: it has {num_bytes} bytes, and {expected.num_bytes} bytes of SHA-256 "
                f"{expected.digest} belong there; publish the bundle again"
            )

    def _replace_text(self, name: str, *, text: str) -> None:
        path = PurePosixPath(self._path(name))
        if not self._is_local:
            self._files.pipe_file(str(path), text.encode())
            return
        unfinished = str(path.with_name(f".{path.name}.partial"))
        self._files.pipe_file(unfinished, text.encode())
        self._files.mv(unfinished, str(path))

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._files.rm(path, recursive=True)

    def _staging(self, model: str, version: int) -> str:
        # Triton takes no folder for a version whose name is no number.
        return self._path(f"{model}/.{version}.partial")

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"
