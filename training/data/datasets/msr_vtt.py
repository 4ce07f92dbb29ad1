"""MSR-VTT: its caption files become the table of captions that retrieval reads, for the videos that are there."""

from dataclasses import dataclass
from pathlib import Path

from service.contract.wording import list_some
from training.data.captions import find_video, read_pairs
from training.data.datasets.importing import MISSING_NAME
from training.errors import DataError
from training.files.texts import write_rows, write_text

CAPTIONS_NAME = "captions.csv"


@dataclass(frozen=True)
class ImportedCaptions:
    """What an import of captions wrote, and which videos it left out."""

    file: Path
    num_captions: int
    num_videos: int
    missing: tuple[str, ...]


def import_captions(file: Path, *, videos: Path, out: Path, split: str | None, allow_missing: bool) -> ImportedCaptions:
    """Write a table of videos and captions, from MSR-VTT's JSON or its 1k-A table.

    Raises:
        DataError: the file is in no known layout, the split does not exist, or videos are missing and may not be.
    """
    pairs = [(video.strip(), text.strip()) for video, text in read_pairs(file, split=split)]
    names = dict.fromkeys(video for video, _ in pairs)
    found = {name: path for name in names if (path := find_video(name, directory=videos))}
    missing = tuple(name for name in names if name not in found)
    if not found or (missing and not allow_missing):
        remedy = ", or leave them out with --allow-missing" if found else ""
        raise DataError(
            f"{len(missing)} of {len(names)} videos are missing in {videos}: {list_some(missing)}; add them{remedy}"
        )
    kept = [(found[video].relative_to(videos).as_posix(), text) for video, text in pairs if video in found]
    out.mkdir(parents=True, exist_ok=True)
    if missing:
        write_text(out / MISSING_NAME, text="".join(f"{name}\n" for name in missing))
    else:
        (out / MISSING_NAME).unlink(missing_ok=True)
    write_rows(out / CAPTIONS_NAME, rows=[("video", "caption"), *kept])
    return ImportedCaptions(out / CAPTIONS_NAME, len(kept), len(found), missing)
