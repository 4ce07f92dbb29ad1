"""Variants of a recipe: what one row of a table changes, as functions from recipe to recipe.

Which variants make a table, and what the paper measured, is in ``tables``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from training.config import Beta, Fusion, Mode, Recipe
from training.errors import SettingError
from training.recipes import find_recipe

Change = Callable[[Recipe], Recipe]
# For recipes of fine-tuning: the recipes of prompting and of dual semantics for the same kind of data.
COMPANIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "vificlip_shapes": ("vl_prompting_shapes", "demo"),
        "vificlip_few_shot": ("vl_prompting_few_shot", "dual_semantic_few_shot"),
        "vificlip_base_to_novel": ("vl_prompting_base_to_novel", "dual_semantic_few_shot"),
    }
)


@dataclass(frozen=True)
class PaperAccuracy:
    """What the paper prints for one data set, in percent; None where it prints nothing.

    Of base-to-novel ``top1`` is the harmonic mean of ``base`` and ``novel``.
    """

    top1: float | None = None
    top5: float | None = None
    base: float | None = None
    novel: float | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a table: ``name`` is that of its folder, ``title`` what readers see.

    ``position`` is where it stands on the axis of a table that is drawn as curves, ``series`` the curve it belongs to.
    ``starts_from`` names the variant whose run of the same seed gives the towers; it must stand before this one.
    Without ``trains`` CLIP is measured as it is, with bare labels.
    """

    name: str
    title: str
    change: Change
    position: int = 0
    series: str = ""
    hmdb51: PaperAccuracy = PaperAccuracy()
    ucf101: PaperAccuracy = PaperAccuracy()
    starts_from: str | None = None
    trains: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """Variants in the order of the paper; ``note`` says what a reader must know of the paper's figures.

    A table with an ``axis`` is drawn as curves over it.
    """

    name: str
    source: str
    title: str
    variants: tuple[Variant, ...]
    axis: str = ""
    note: str = ""


def baseline(recipe: Recipe) -> Recipe:
    """Leave CLIP with a temporal embedding, word-weighted aggregation and English texts.

    The paper does not say what its baseline trains. Here that is the temporal embedding and nothing else: the towers
    stay frozen as in the other rungs.
    """
    return replace(recipe, model=replace(recipe.model, temporal_prompts=None, supervision="english"))


def temporal_prompts(recipe: Recipe) -> Recipe:
    """Use temporal prompts as they are, and English texts."""
    return english(with_prompts(recipe, beta="none"))


def english(recipe: Recipe) -> Recipe:
    """Supervise by English texts alone."""
    return replace(recipe, model=replace(recipe.model, supervision="english"))


def full(recipe: Recipe) -> Recipe:
    """Keep the recipe: reparameterized temporal prompts, English and Chinese texts."""
    return recipe


def num_frames(recipe: Recipe, *, count: int) -> Recipe:
    """Sample another number of frames."""
    return replace(recipe, model=replace(recipe.model, num_frames=count))


def num_global_prompts(recipe: Recipe, *, count: int) -> Recipe:
    """Use another number of global prompts."""
    return with_prompts(recipe, num_global_prompts=count)


def beta(recipe: Recipe, *, kind: Beta) -> Recipe:
    """Reparameterize the prompts by another network.

    C3D has one convolution of 3 x 3 x 3 in place of each two factorised ones, which keeps its parameters near theirs.
    """
    prompts = recipe.model.temporal_prompts
    if kind != "c3d" or prompts is None:
        return with_prompts(recipe, beta=kind)
    return with_prompts(recipe, beta=kind, beta_units=max(1, prompts.beta_units // 2))


def without_residual(recipe: Recipe, *, kind: Beta) -> Recipe:
    """Give layers beta(P) in place of P + beta(P), which then must not start at zero."""
    return with_prompts(beta(recipe, kind=kind), residual=False, zero_init_beta=False)


def prefix(recipe: Recipe, *, template: str) -> Recipe:
    """Put English labels into another sentence."""
    return replace(recipe, model=replace(recipe.model, template_en=template))


def few_shot(recipe: Recipe, *, num_shots: int, change: Change) -> Recipe:
    """Draw a few videos of each label, and change the recipe further."""
    return replace(change(recipe), num_shots=num_shots)


def shortened(recipe: Recipe, *, thirds: int, change: Change) -> Recipe:
    """Train for so many thirds of the recipe's epochs, warm-up included, and change the recipe further."""
    fit = recipe.fit
    epochs = max(1, round(fit.num_epochs * thirds / 3))
    warmup = fit.num_warmup_epochs * epochs / fit.num_epochs
    return replace(change(recipe), fit=replace(fit, num_epochs=epochs, num_warmup_epochs=warmup))


def vanilla(recipe: Recipe) -> Recipe:
    """Take every adapter away, and what only their training has."""
    fit = replace(recipe.fit, mixup_alpha=0.0, cutmix_alpha=0.0, clips_per_pass=None)
    return replace(recipe, model=recipe.model.without_adapters(), fit=fit)


def fine_tuned(recipe: Recipe, *, mode: Mode = "full", fusion: Fusion = "embedding") -> Recipe:
    """Fine-tune one tower or both, with a fusion of frames.

    Raises:
        SettingError: the recipe is none of fine-tuning.
    """
    if recipe.model.method != "vificlip":
        raise SettingError(
            f"recipe {recipe.name!r} is one of {recipe.model.method}; start from one of vificlip, such as "
            "vificlip_shapes"
        )
    return replace(recipe, model=replace(recipe.model, mode=mode, fusion=fusion))


def prompted(recipe: Recipe) -> Recipe:
    """Learn prompts in place of fine-tuning, by the recipe that goes with this one."""
    return _companion(recipe, place=0)


def dual_semantic(recipe: Recipe) -> Recipe:
    """Train the adapters of Deng et al. 2024 on the same videos, by the recipe that suits the same data."""
    return _companion(recipe, place=1)


def _companion(recipe: Recipe, *, place: int) -> Recipe:
    """Take another method's recipe, on the videos and the towers of this one.

    Frames and epochs are the other recipe's own, unless this one has not its published numbers of them: then they were
    set for the table, and hold in every row.
    """
    if recipe.name not in COMPANIONS:
        raise SettingError(
            f"recipe {recipe.name!r} has no counterparts in other methods; start from one of {', '.join(COMPANIONS)}"
        )
    published, other = find_recipe(recipe.name), find_recipe(COMPANIONS[recipe.name][place])
    model = replace(
        other.model,
        clip=recipe.model.clip,
        chinese=recipe.model.chinese,
        preprocessing=recipe.model.preprocessing,
        num_frames=_if_set(recipe.model.num_frames, published.model.num_frames, other.model.num_frames),
    )
    num_epochs = _if_set(recipe.fit.num_epochs, published.fit.num_epochs, other.fit.num_epochs)
    fit = replace(other.fit, num_epochs=num_epochs)
    return replace(other, model=model, fit=fit, num_shots=recipe.num_shots, train_split=recipe.train_split)


def _if_set(own: int, published: int, other: int) -> int:
    return other if own == published else own


def with_prompts(recipe: Recipe, **changes: object) -> Recipe:
    """Change fields of the temporal prompts.

    Raises:
        SettingError: the recipe has none.
    """
    prompts = recipe.model.temporal_prompts
    if prompts is None:
        raise SettingError(
            f"recipe {recipe.name!r} has no temporal prompts to vary; start from one that has, such as dual_semantic"
        )
    changed = replace(prompts, **changes)  # type: ignore[arg-type]
    return replace(recipe, model=replace(recipe.model, temporal_prompts=changed))
