"""The ablations of Wang and Wang, TDS-CLIP, with what the paper measured, and its method beside others.

The paper's figures are accuracies in percent on Something-Something v1, of one view of 8 frames with CLIP ViT-B/16.
What a variant changes is in ``side_variants`` and ``other_methods``.
"""

from collections.abc import Callable
from functools import partial

from training.config.model import Recipe
from training.studies.ablation import other_methods
from training.studies.ablation import side_variants as side
from training.studies.ablation import variants as change
from training.studies.ablation.variants import Change, PaperAccuracy, Table, Variant

_DATA_SET = "SSv1"


def _row(
    name: str,
    title: str,
    rule: Change,
    *,
    top1: float | None = None,
    position: int = 0,
    title_of: Callable[[Recipe], str] | None = None,
    trains: bool = True,
) -> Variant:
    return Variant(
        name=name,
        title=title,
        change=rule,
        position=position,
        title_of=title_of,
        trains=trains,
        paper={_DATA_SET: PaperAccuracy(top1)},
    )


def _table(name: str, part: str, title: str, *variants: Variant, axis: str = "", note: str = "") -> Table:
    return Table(
        name=f"tds_{name}",
        source=f"Wang and Wang, {part}",
        title=title,
        variants=variants,
        axis=axis,
        note=note,
        data_sets=(_DATA_SET,),
    )


_COMPONENTS = _table(
    "components",
    "Table 3a",
    "Components, each added to the one above",
    _row("base", "neither adapter", partial(side.with_side, td_adapter="none", num_local_frames=1), top1=58.1),
    _row("td", "+ TD-Adapter", partial(side.with_side, num_local_frames=1), top1=59.1),
    _row("td_sme", "+ SME-Adapter", change.full, top1=59.4),
    note="The paper has 59.1 here and 58.0 in its comparison of local frames for what should be the same network, with "
    "TD-Adapters and one local frame.",
)

_LOCAL_FRAMES = _table(
    "local_frames",
    "Table 3b",
    "Local frames around each frame of a clip",
    *(
        _row(
            f"local_frames_{count}",
            f"n = {count}",
            partial(side.with_side, num_local_frames=count),
            top1=top1,
            position=count,
        )
        for count, top1 in ((1, 58.0), (3, 58.5), (5, 59.4))
    ),
    axis="local frames, n",
    note="One local frame has no differences, so that the SME-Adapter is left out.",
)

_ALPHA = _table(
    "alpha",
    "Table 3c",
    "Weight of local differences in the SME-Adapter",
    _row("alpha_0_5", "alpha = 0.5, the released code's", partial(side.with_side, sme_alpha=0.5), top1=58.4),
    _row("alpha_1", "alpha = 1", partial(side.with_side, sme_alpha=1.0), top1=59.4),
    _row("alpha_1_5", "alpha = 1.5", partial(side.with_side, sme_alpha=1.5), top1=58.9),
)

_DIFFERENCE = _table(
    "difference",
    "Table 3d",
    "What the TD-Adapter subtracts from features",
    _row("pool", "their maximum over nearby segments", partial(side.with_side, td_adapter="pool"), top1=59.4),
    _row("conv", "a learnt convolution over them", partial(side.with_side, td_adapter="conv"), top1=59.3),
    _row("direct", "those of the segment before", partial(side.with_side, td_adapter="direct"), top1=57.3),
)

_KERNEL = _table(
    "kernel",
    "Table 3e",
    "Window of the TD-Adapter",
    *(
        _row(f"kernel_{size}", f"k = {size}", partial(side.with_side, td_kernel=size), top1=top1, position=size)
        for size, top1 in ((3, 59.4), (5, 59.2), (7, 58.8))
    ),
    axis="segments of a window, k",
)

_WIDTH = _table(
    "side_width",
    "Table 3f",
    "Width of the side network",
    *(
        _row(
            name,
            f"d = {share:g} of the recipe's, {width} in the paper",
            partial(side.with_scaled_width, share=share),
            top1=top1,
            title_of=side.describe_width,
        )
        for name, share, width, top1 in (
            ("narrow", 0.4, 128, 57.4),
            ("published", 1.0, 320, 59.4),
            ("wide", 1.6, 512, 58.2),
        )
    ),
    note="Widths are 0.4, 1 and 1.6 of the recipe's, as the paper's 128, 320 and 512 are of its 320.",
)

_LAYERS = _table(
    "layers",
    "Table 4",
    "Layers with a TD-Adapter",
    _row(
        "first_half", "the first half", partial(side.with_adapters_in, part="first_half"), title_of=side.describe_layers
    ),
    _row(
        "second_half",
        "the second half",
        partial(side.with_adapters_in, part="second_half"),
        title_of=side.describe_layers,
    ),
    _row("all_layers", "all layers", partial(side.with_adapters_in, part="all"), title_of=side.describe_layers),
    note="Halves were chosen here, so that towers of any depth have them; no figures of the paper are given.",
)

_METHODS = _table(
    "methods",
    "TDS-CLIP",
    "Methods on the same videos",
    _row("vanilla", "CLIP as it is", change.vanilla, trains=False),
    _row("vificlip", "both towers fine-tuned", other_methods.vificlip),
    _row("dual_semantic", "adapters of dual semantics", other_methods.dual_semantic),
    _row("tds_open", "side network, open vocabulary", side.open_vocabulary),
    _row("tds_closed", "side network, closed set of classes", side.closed),
    note="The paper compares nothing of this kind on the same data. Every method trains by its own recipe; only the "
    "last cannot be asked for labels that it has not learned.",
)

TDS_TABLES = (_COMPONENTS, _LOCAL_FRAMES, _ALPHA, _DIFFERENCE, _KERNEL, _WIDTH, _LAYERS, _METHODS)
