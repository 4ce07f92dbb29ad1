"""The command `duoact-train evaluate`: a run by a protocol, on its own data or on others."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from service.contract.views import DEFAULT_VIEWS, ViewPlan
from training.commands.options import WorkersOption, clear_errors
from training.data.annotations import VideoData, read_video_data
from training.errors import SettingError
from training.evaluation.composite import evaluate_protocol, evaluate_transfer
from training.evaluation.evaluate import Settings, load_protocol_model
from training.evaluation.protocols import PROTOCOLS, ZERO_SHOT, Protocol
from training.export.provenance import choose_fusion
from training.processes.ranks import read_rank
from training.runs.run import Run, open_run


def evaluate_command(  # noqa: PLR0913 - each argument is an option
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    protocol: Annotated[str, typer.Option(help=f"One of {', '.join(PROTOCOLS)}.")],
    data: Annotated[
        list[Path], typer.Option(help=f"Folder with labels.csv and annotations.csv; {ZERO_SHOT} takes several.")
    ],
    split: Annotated[
        list[str] | None, typer.Option(help=f"Split to report, for {ZERO_SHOT} alone; repeatable. [default: test]")
    ] = None,
    vanilla: Annotated[
        bool, typer.Option("--vanilla", help="Measure the CLIP that the run started from, with bare labels.")
    ] = False,
    views: Annotated[str, typer.Option(help="Clips x crops of every video.")] = DEFAULT_VIEWS,
    fusion_lambda: Annotated[float | None, typer.Option("--lambda", help="Weight of English; else chosen.")] = None,
    select_on: Annotated[str, typer.Option(help="Split on which lambda is chosen.")] = "val",
    workers: WorkersOption = 2,
) -> None:
    """Evaluate a run by a protocol; report and rankings go to its folder."""
    with clear_errors(is_shared=True) as console:
        chosen = find_protocol(protocol, vanilla=vanilla)
        settings = Settings(
            plan=ViewPlan.parse(views), fusion_lambda=fusion_lambda, select_on=select_on, num_workers=workers
        )
        if protocol == ZERO_SHOT:
            data_sets = [read_video_data(folder) for folder in data]
            opened = open_run(run)
            evaluate_transfer(
                opened,
                data_sets=data_sets,
                splits=split or [chosen.split],
                protocol=chosen,
                settings=_settle_fusion(opened, protocol=chosen, settings=settings),
            )
        else:
            videos = _read_only(data, protocol=protocol, splits=split or [])
            opened = open_run(run)
            evaluate_protocol(opened, data=videos, protocol=chosen, settings=settings)
        if read_rank() == 0:
            console.print(Markdown((opened.evaluation / f"{chosen.name}.md").read_text(encoding="utf-8")))


def find_protocol(name: str, *, vanilla: bool) -> Protocol:
    """Find a protocol by its name, for the run's model or for the CLIP that it started from.

    Raises:
        SettingError: there is no such protocol, or it measures that CLIP already.
    """
    if name not in PROTOCOLS:
        raise SettingError(f"protocol is {name!r}; known are {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    if vanilla and protocol.model != "run":
        raise SettingError(f"--vanilla changes what is measured, but {name} measures the frozen CLIP; leave one out")
    return protocol.for_model("vanilla") if vanilla else protocol


def _settle_fusion(run: Run, *, protocol: Protocol, settings: Settings) -> Settings:
    """Take the weight of English that the run has, so that none is chosen on foreign videos."""
    if settings.fusion_lambda is not None:
        return settings
    has_chinese = load_protocol_model(run, protocol=protocol).chinese is not None
    fusion = choose_fusion(run, has_chinese=has_chinese)
    return replace(settings, fusion_lambda=fusion.value, chosen=fusion.chosen)


def _read_only(folders: list[Path], *, protocol: str, splits: list[str]) -> VideoData:
    if len(folders) > 1 or splits:
        raise SettingError(f"protocol {protocol} has one data folder and its own splits; only {ZERO_SHOT} takes others")
    return read_video_data(folders[0])
