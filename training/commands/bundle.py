"""The commands `duoact-train backbone` and `duoact-train bundle`: public weights as towers, or as a serving bundle."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.manifest import open_bundle
from training.commands.options import clear_errors
from training.errors import SettingError
from training.export.evidence import read_alignment
from training.export.public_bundle import build_public_bundle, select_label_sets
from training.importers.backbone import (
    PublicBackbone,
    draw_random_backbone,
    read_public_backbone,
    read_stored_backbone,
    write_public_backbone,
)

_DEFAULT_FRAMES = 8
PretrainedOption = Annotated[
    str | None,
    typer.Option(help="An open_clip tag such as openai, TAG=FILE for a tag's file that is here, or a file or folder."),
]
ChineseOption = Annotated[
    str | None,
    typer.Option(help="Chinese-CLIP: a folder, a .pt with vocab.txt beside it, or a repository of the hub."),
]
RandomOption = Annotated[
    bool, typer.Option("--random-init", help="Draw all towers, at full size, for sizing and timing; needs no files.")
]


def backbone_command(
    *,
    backbone: Annotated[str, typer.Option(help="An open_clip architecture, such as ViT-B-16-quickgelu.")],
    out: Annotated[Path, typer.Option(help="Folder of the backbone, for `fit --backbone`, `align` and `bundle`.")],
    pretrained: PretrainedOption = None,
    chinese: ChineseOption = None,
    random_init: RandomOption = False,
) -> None:
    """Turn public weights into a backbone folder; weights that are not here are fetched."""
    with clear_errors() as console:
        towers = find_towers(backbone, pretrained=pretrained, chinese=chinese, random_init=random_init)
        write_public_backbone(towers, out)
        for name, origin in towers.origins.items():
            console.print(f"{name}: {origin.source}, licence: {origin.licence}", highlight=False)


def bundle_command(
    *,
    backbone: Annotated[str, typer.Option(help="An open_clip architecture, or the folder of a backbone.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    pretrained: PretrainedOption = None,
    chinese: ChineseOption = None,
    random_init: RandomOption = False,
    label_set: Annotated[
        list[str] | None, typer.Option(help="Built-in label set to embed in advance; repeatable. [default: all]")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = _DEFAULT_FRAMES,
    chinese_evidence: Annotated[
        Path | None, typer.Option(help="Report of `duoact-train align` that allows to switch Chinese on.")
    ] = None,
) -> None:
    """Turn public weights into a serving bundle: plain CLIP, frames averaged, verified on every engine."""
    with clear_errors() as console:
        evidence = None if chinese_evidence is None else read_alignment(chinese_evidence)
        label_sets = select_label_sets(label_set or ())
        towers = find_towers(backbone, pretrained=pretrained, chinese=chinese, random_init=random_init)
        build_public_bundle(
            towers,
            out,
            label_sets=label_sets,
            num_frames=frames,
            evidence=evidence,
            warn=lambda sentence: console.print(
                f"warning: {sentence}", style="yellow", highlight=False, soft_wrap=True, markup=False
            ),
        )
        fusion = open_bundle(out).manifest.scoring.fusion
        console.print(f"{out}: lambda {fusion.value:g}, {fusion.chosen}", highlight=False)


def find_towers(backbone: str, *, pretrained: str | None, chinese: str | None, random_init: bool) -> PublicBackbone:
    """Read a stored backbone or public weights, or draw random ones.

    Raises:
        SettingError: the options contradict each other, or weights are missing among them.
    """
    given = [name for name, value in (("--pretrained", pretrained), ("--chinese", chinese)) if value is not None]
    is_folder = Path(backbone).is_dir()
    if given and (random_init or is_folder):
        other = "--random-init draws all towers" if random_init else f"{backbone} is a folder with towers"
        raise SettingError(f"{' and '.join(given)} names weights, but {other}; leave one of them out")
    if random_init:
        return draw_random_backbone(backbone)
    if is_folder:
        return read_stored_backbone(Path(backbone))
    if pretrained is None:
        raise SettingError(
            f"backbone is {backbone!r}, but no weights are named; give --pretrained openai, another tag or a file, or "
            "--random-init for sizes alone"
        )
    return read_public_backbone(backbone, pretrained=pretrained, chinese=chinese)
