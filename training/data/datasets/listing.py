"""What every reader of official files gives: classes and videos as they are listed, wherever the videos lie."""

from dataclasses import dataclass
from pathlib import Path

from service.contract.wording import list_some
from training.data.annotations import Annotation
from training.data.split_files import SplitFile
from training.errors import DataError


@dataclass(frozen=True)
class Official:
    """Where the official files of a data set are, and which of its splits is meant.

    ``files`` is their folder, or the one file; ``videos`` the folder of the videos. ``lists`` are single
    lists of videos, and ``labels`` is a list of classes, for the layouts that do not bring one. ``default_split`` holds
    the videos of layouts without splits.
    """

    videos: Path
    files: Path | None = None
    split_number: int = 1
    lists: tuple[SplitFile, ...] = ()
    labels: Path | None = None
    default_split: str = "train"

    def find(self, *names: str) -> Path | None:
        """Find the one official file of these names, which may have something before them, such as the data set's.

        Raises:
            DataError: no folder of official files was given, or several files fit; they are named.
        """
        folder = self.folder()
        endings = tuple(f"{mark}{name}" for mark in "-_" for name in names)
        exact = [folder / name for name in names if (folder / name).is_file()]
        found = exact or [path for path in sorted(folder.iterdir()) if path.name.endswith(endings)]
        if len(found) > 1 and not exact:
            raise DataError(f"{folder} holds {list_some([p.name for p in found])}; keep one, or name it {names[0]}")
        return found[0] if found else None

    def require(self, *names: str) -> Path:
        """Find an official file as ``find`` does.

        Raises:
            DataError: there is none.
        """
        found = self.find(*names)
        if found is None:
            raise DataError(f"{self.folder()} holds no {' or '.join(names)}; put the official file there")
        return found

    def folder(self) -> Path:
        """The folder of the official files.

        Raises:
            DataError: none was given, or it is no folder.
        """
        if self.files is None or not self.files.is_dir():
            raise DataError(f"--files is {self.files}; name the folder that holds the data set's official files")
        return self.files


@dataclass(frozen=True)
class Listing:
    """Classes in the order of their numbers, and videos as the lists name them.

    ``notes`` say what is unusual about the files, ``files`` are those that were read. With ``frame_folders`` the videos
    are folders of pictures.
    """

    classes: tuple[str, ...]
    videos: tuple[Annotation, ...]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    frame_folders: bool = False
