"""Protocols of several parts: base-to-novel, and zero-shot transfer to other data sets and splits.

Each part is an ordinary evaluation of ``evaluate``, in a folder of the protocol's name; ``summary`` puts them together.
"""

from collections.abc import Sequence
from dataclasses import replace

from service.contract.labels import Label
from service.contract.wording import list_some
from training.data.annotations import VideoData
from training.data.splits import keep_labels, split_label_ids
from training.errors import DataError, SettingError
from training.evaluation.classes import require_open_vocabulary
from training.evaluation.evaluate import Settings, check_settings, evaluate
from training.evaluation.protocols import ZERO_SHOT, Protocol
from training.evaluation.report import Report
from training.evaluation.summary import Summary, write_summary
from training.processes.ranks import join_launch
from training.runs.run import Run


def evaluate_protocol(run: Run, *, data: VideoData, protocol: Protocol, settings: Settings) -> Report | Summary:
    """Evaluate a run on its data by a protocol of one part or of base and novel.

    Raises:
        SettingError: lambda would be chosen on a split that is reported, or lies outside [0, 1]; or labels are asked
            for that a closed vocabulary lacks.
        RunError: the folder is not a run.
        DataError: the data lacks a split, base and novel share labels, the run trained on novel ones, or a video does
            not decode.
    """
    if protocol.novel_split is None:
        return evaluate(run, data=data, protocol=protocol, settings=settings)
    check_settings(settings, protocol)
    base_labels = split_label_ids(data, protocol.split)
    novel_labels = split_label_ids(data, protocol.novel_split)
    _require_open(run, protocol=protocol, labels=[data.labels[each] for each in sorted(novel_labels)])
    _check_disjoint(data, protocol=protocol, base=base_labels, novel=novel_labels)
    _check_unseen(run, data=data, protocol=protocol, novel=novel_labels)
    base_part, novel_part = (
        Protocol(name, split, protocol.model, folder=protocol.name)
        for name, split in (("base", protocol.split), ("novel", protocol.novel_split))
    )
    base = evaluate(run, data=keep_labels(data, base_labels), protocol=base_part, settings=settings)
    # Novel labels have no videos to choose on, so that the weight of English is that of the base labels.
    fusion = base.fusion
    carried = replace(settings, fusion_lambda=fusion.value, chosen=fusion.chosen) if fusion is not None else settings
    novel = evaluate(run, data=keep_labels(data, novel_labels), protocol=novel_part, settings=carried)
    summary = Summary(protocol=protocol.name, model=protocol.model, rule="harmonic mean", parts=(base, novel))
    if join_launch().is_main_process:
        write_summary(run.evaluation, summary)
    return summary


def evaluate_transfer(
    run: Run, *, data_sets: Sequence[VideoData], splits: Sequence[str], protocol: Protocol, settings: Settings
) -> Summary:
    """Evaluate a run on every split of every data set, each over its own labels; nothing is chosen on their videos.

    Without a weight of English in ``settings`` the caller has to give the one that the run has: see
    ``provenance.choose_fusion``.

    Raises:
        SettingError: no weight of English is given, or it lies outside [0, 1]; a data set has the name of another or is
            the one that the run was fitted on; or the run's vocabulary is closed.
        RunError: the folder is not a run.
        DataError: a data set lacks a split, or a video does not decode.
    """
    _require_open(run, protocol=protocol, labels=[label for data in data_sets for label in data.labels])
    check_settings(settings, protocol)
    if settings.fusion_lambda is None:
        raise SettingError(f"{ZERO_SHOT} chooses no lambda on the data that it reports; give the one of the run")
    _check_foreign(run, data_sets=data_sets, protocol=protocol)
    parts = tuple(
        evaluate(
            run,
            data=data,
            protocol=Protocol(f"{data.name}.{split}", split, protocol.model, folder=protocol.name),
            settings=settings,
        )
        for data in data_sets
        for split in splits
    )
    summary = Summary(protocol=protocol.name, model=protocol.model, rule="mean", parts=parts)
    if join_launch().is_main_process:
        write_summary(run.evaluation, summary)
    return summary


def _require_open(run: Run, *, protocol: Protocol, labels: Sequence[Label]) -> None:
    require_open_vocabulary(
        run.recipe.model,
        measured=protocol.model,
        asked=f"protocol {protocol.name} asks for labels that the run never learned, among {list_some(labels)}",
    )


def _check_disjoint(data: VideoData, *, protocol: Protocol, base: frozenset[int], novel: frozenset[int]) -> None:
    if shared := [str(data.labels[each]) for each in sorted(base & novel)]:
        raise DataError(
            f"{len(shared)} labels of {data.directory} have videos in split {protocol.split!r}, which is base, and in "
            f"split {protocol.novel_split!r}, which is novel: {list_some(shared)}; a label belongs to one "
            "of them"
        )


def _check_unseen(run: Run, *, data: VideoData, protocol: Protocol, novel: frozenset[int]) -> None:
    train_split = run.recipe.train_split
    seen = {each.label_id for each in data.annotations if each.split == train_split} & novel
    if seen and protocol.model == "run":
        named = list_some([data.labels[each] for each in sorted(seen)])
        raise DataError(
            f"{len(seen)} labels of the novel split {protocol.novel_split!r} have videos in {train_split!r}, on which "
            f"the run trained: {named}; train on base labels alone"
        )


def _check_foreign(run: Run, *, data_sets: Sequence[VideoData], protocol: Protocol) -> None:
    names = [data.name for data in data_sets]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise SettingError(f"several data folders are called {', '.join(repeated)}; rename them, or name each once")
    own = [str(data.directory) for data in data_sets if data.digest == run.data.get("digest")]
    if own and protocol.model == "run":
        raise SettingError(
            f"the run was fitted on {', '.join(own)}, so that nothing there is zero-shot; use open_vocabulary"
        )
