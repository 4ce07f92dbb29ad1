"""Print the table of formats: for each, top-1, the largest change of a score and whether frames are exact."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import typer

from tests.end_to_end.server import DEMO, run_server
from tests.formats.comparison import Compared, Seen, ask_reference, compare
from tests.formats.table import FORMATS
from tests.formats.transcoding import Clip, UnwritableError, render_clips, transcode


def main(arguments: Sequence[str]) -> None:
    """Transcode, ask a service on the demo bundle, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=8, help="Clips for each format.")
    parser.add_argument("--formats", default="", help="Only formats whose names hold this.")
    chosen = parser.parse_args(arguments)
    names = [name for name in FORMATS if chosen.formats in name]
    with TemporaryDirectory() as name, run_server(DEMO, log=Path(name) / "log") as client:
        _print_table(client, render_clips(chosen.clips), names=names, folder=Path(name))


def _print_table(client: httpx.Client, clips: Sequence[Clip], *, names: Sequence[str], folder: Path) -> None:
    references = [ask_reference(client, clip, folder=folder) for clip in clips]
    right = sum(seen.best == clip.label.en for clip, seen in zip(clips, references, strict=True))
    typer.echo(f"reference (h264 in mp4, crf 12): {right}/{len(clips)}\n")
    typer.echo("| format | top-1 | largest score change | frames exact |\n|---|---|---|---|")
    unwritable = []
    for name in names:
        try:
            compared = [
                _compare(client, clip, seen, name, folder) for clip, seen in zip(clips, references, strict=True)
            ]
        except UnwritableError:
            unwritable.append(name)
            continue
        right, exact = (
            sum(values) for values in zip(*((each.is_right, each.is_exact) for each in compared), strict=True)
        )
        change = max(each.score_change for each in compared)
        typer.echo(f"| {name} | {right}/{len(clips)} | {change:.3f} | {exact}/{len(clips)} |")
    typer.echo(f"\nNot to be written here ({len(unwritable)}): {', '.join(unwritable)}")


def _compare(client: httpx.Client, clip: Clip, reference: Seen, name: str, folder: Path) -> Compared:
    container, coding = FORMATS[name]
    path = transcode(clip.frames, path=folder / "clip", container=container, coding=coding)
    return compare(client, clip, path, reference=reference, coding=coding)


if __name__ == "__main__":
    main(sys.argv[1:])
