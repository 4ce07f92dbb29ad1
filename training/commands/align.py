"""The command `duoact-train align`: does a Chinese text tower agree with a CLIP that it was not trained with?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.contract.labels import Label, read_label_file
from training.commands.options import WorkersOption, clear_errors
from training.data.annotations import read_video_data
from training.errors import SettingError
from training.export.evidence import (
    AlignmentReport,
    VideoAgreement,
    compare_on_videos,
    measure_alignment,
    write_alignment,
)
from training.export.public_bundle import select_label_sets
from training.importers.backbone import build_vanilla, read_stored_backbone
from training.models.video_clip import VideoCLIP


def align_command(
    backbone: Annotated[Path, typer.Argument(help="Folder of the backbone, with a Chinese tower.")],
    *,
    labels: Annotated[str, typer.Option(help="A built-in label set or a label CSV, in both languages.")],
    out: Annotated[Path, typer.Option(help="File for the report, as JSON.")],
    data: Annotated[Path | None, typer.Option(help="Folder of videos to measure on as well.")] = None,
    split: Annotated[str, typer.Option(help="Split of those videos.")] = "val",
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = 8,
    workers: WorkersOption = 2,
) -> None:
    """Measure retrieval of translations both ways and, with videos, Chinese alone; say if the branch may go on."""
    with clear_errors() as console:
        model = build_vanilla(read_stored_backbone(backbone), num_frames=frames)
        videos = None if data is None else _measure_videos(model, data, split=split, out=out, num_workers=workers)
        report = measure_alignment(model, _find_labels(labels), name=Path(labels).name, videos=videos)
        write_alignment(out, report)
        console.print(render_alignment(report))
        console.print(f"rule: {report.rule}", highlight=False)
        console.print(f"verdict: {report.verdict}", highlight=False)


def render_alignment(report: AlignmentReport) -> Table:
    """Render a report as a table for a terminal."""
    texts, videos = report.texts, report.videos
    table = Table(title=f"{texts.num_labels} labels of {report.labels}")
    for column in ("", "top-1", "top-5"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("Chinese finds English", f"{texts.zh_to_en_top1:.1%}", f"{texts.zh_to_en_top5:.1%}")
    table.add_row("English finds Chinese", f"{texts.en_to_zh_top1:.1%}", f"{texts.en_to_zh_top5:.1%}")
    table.add_row("cosine of pairs / others", f"{texts.cosine_pairs:.3f}", f"{texts.cosine_others:.3f}")
    if videos is not None:
        for name, top1 in (
            ("English", videos.english_top1),
            ("Chinese", videos.chinese_top1),
            ("both", videos.fused_top1),
            ("chance", 1 / videos.num_labels),
        ):
            table.add_row(f"{videos.num_videos} videos, {name}", f"{top1:.1%}", "")
    return table


def _measure_videos(model: VideoCLIP, folder: Path, *, split: str, out: Path, num_workers: int) -> VideoAgreement:
    cache_dir = out.with_name(f"{out.stem}_features")
    data = read_video_data(folder)
    return compare_on_videos(model, data=data, split=split, cache_dir=cache_dir, num_workers=num_workers)


def _find_labels(source: str) -> tuple[Label, ...]:
    """Read a label CSV, or take a built-in set by its name."""
    if Path(source).is_file():
        return read_label_file(Path(source))
    if source.endswith(".csv"):
        raise SettingError(f"labels is {source!r}, which is not a file; give a label CSV or a built-in label set")
    return select_label_sets([source])[source]
