"""Official files in, the tables of a data folder out; videos stay where they are and are never copied."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.contract.manifest import file_digest
from service.contract.wording import list_some
from training.data.annotations import DESCRIPTION_NAME, Annotation
from training.data.class_order import check_class_order
from training.data.datasets.catalogue import GENERIC, NUMBERED, READERS
from training.data.datasets.label_orders import LabelOrder, describe_order
from training.data.datasets.listing import Listing, Official
from training.data.datasets.locate import find_videos
from training.data.datasets.naming import Spelling, name_labels
from training.data.split_files import write_video_tables
from training.errors import DataError
from training.files.texts import render_json, write_text

MISSING_NAME = "missing.txt"


@dataclass(frozen=True)
class ImportOptions:
    """How a data set is imported: the spelling of labels, other names for splits, and whether videos may lack."""

    spelling: Spelling = "words"
    renamed: Mapping[str, str] = field(default_factory=dict)
    allow_missing: bool = False


@dataclass(frozen=True)
class Imported:
    """What an import wrote: videos by split, the missing ones, the order of the labels, and what was unusual."""

    directory: Path
    num_videos: Mapping[str, int]
    missing: tuple[Annotation, ...]
    num_chinese: int
    order: LabelOrder
    notes: tuple[str, ...]


def import_data_set(name: str, *, official: Official, out: Path, options: ImportOptions) -> Imported:
    """Read the official files of one of ``READERS``, find its videos and write the tables of a data folder.

    ``out`` may be the videos' own folder or another; then ``data.json`` tells where the videos are.

    Raises:
        DataError: a file is missing or wrong, videos are missing and may not be, or none is there at all.
    """
    if not official.videos.is_dir():
        raise DataError(f"--videos is {official.videos}, which is no folder; name the one that holds the videos")
    listing = READERS[name](official)
    _check_renaming({each.split for each in listing.videos}, renamed=options.renamed)
    check_class_order(
        listing.classes, [(each.video, each.label_id) for each in listing.videos], where="the official files"
    )
    labels = name_labels(listing.classes, spelling=options.spelling, data_set=name)
    # Before they are renamed, as videos may lie in folders of their splits.
    found, missing = (
        tuple(replace(each, split=options.renamed.get(each.split, each.split)) for each in videos)
        for videos in find_videos(listing, directory=official.videos)
    )
    _check_found(found, missing, official=official, allow_missing=options.allow_missing)
    order = describe_order(listing.classes)
    out.mkdir(parents=True, exist_ok=True)
    _write_description(out, name=name, listing=listing, official=official, order=order)
    _write_missing(out / MISSING_NAME, missing=missing)
    # Last, as they make the folder one that can be read.
    write_video_tables(out, labels=labels, annotations=found, originals=listing.classes)
    return Imported(
        directory=out,
        num_videos=dict(sorted(Counter(each.split for each in found).items())),
        missing=missing,
        num_chinese=sum(label.zh is not None for label in labels),
        order=order,
        notes=listing.notes,
    )


def _check_renaming(splits: set[str], *, renamed: Mapping[str, str]) -> None:
    if unknown := sorted(set(renamed) - splits):
        raise DataError(f"split {list_some(unknown)} is to be renamed; there are {', '.join(sorted(splits))}")
    names = Counter(renamed.get(split, split) for split in splits)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise DataError(f"two splits would be called {list_some(twice)}; rename the other one as well")


def _check_found(
    found: tuple[Annotation, ...], missing: tuple[Annotation, ...], *, official: Official, allow_missing: bool
) -> None:
    total = len(found) + len(missing)
    named = list_some([each.video for each in missing])
    if not found:
        raise DataError(
            f"{official.videos} holds none of the {total} listed videos, such as {named or 'any'}; unpack "
            "them there, or name another folder with --videos"
        )
    if missing and not allow_missing:
        raise DataError(
            f"{len(missing)} of {total} videos are missing in {official.videos}: {named}; add them, or leave them out "
            "with --allow-missing"
        )


def _write_description(out: Path, *, name: str, listing: Listing, official: Official, order: LabelOrder) -> None:
    """Record where the tables come from; the folder of the videos is told only where it is another."""
    videos = official.videos.resolve()
    described = {
        **({} if name in GENERIC else {"name": name}),
        **({"split_number": official.split_number} if name in NUMBERED else {}),
        "files": {path.name: file_digest(path) for path in listing.files},
        "label_order": order.checksum,
        **({} if videos == out.resolve() else {"videos": str(videos)}),
    }
    write_text(out / DESCRIPTION_NAME, text=render_json(described))


def _write_missing(path: Path, *, missing: tuple[Annotation, ...]) -> None:
    """List the missing videos beside the tables, and forget those of an earlier import."""
    if missing:
        write_text(path, text="".join(f"{each.split} {each.video}\n" for each in missing))
    else:
        path.unlink(missing_ok=True)
