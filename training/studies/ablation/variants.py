"""Variants of a recipe: what one row of a table changes, as functions from recipe to recipe.

Which variants make a table, and what the paper measured, is in ``tables``; the recipes of other methods are in
``other_methods``, and what concerns side networks alone in ``side_variants``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from training.config.adapters import (
    Beta,
    FineTuningConfig,
    Fusion,
    Mode,
    TemporalEmbeddingConfig,
    TemporalPromptConfig,
)
from training.config.model import Recipe
from training.errors import SettingError

Change = Callable[[Recipe], Recipe]


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
    Without ``trains`` CLIP is measured as it is, with bare labels. ``paper`` has the paper's figures by data set.
    ``title_of`` words the title by the recipe that the variant makes, where it depends on the size of the towers.
    """

    name: str
    title: str
    change: Change
    position: int = 0
    series: str = ""
    paper: Mapping[str, PaperAccuracy] = field(default_factory=dict)
    starts_from: str | None = None
    trains: bool = True
    title_of: Callable[[Recipe], str] | None = None

    def paper_accuracy(self, data_set: str) -> PaperAccuracy:
        """Return what the paper prints for a data set, which may be nothing."""
        return self.paper.get(data_set, PaperAccuracy())


@dataclass(frozen=True, kw_only=True)
class Table:
    """Variants in the order of the paper; ``note`` says what a reader must know of the paper's figures.

    A table with an ``axis`` is drawn as curves over it. ``data_sets`` are those for which the paper has figures.
    """

    name: str
    source: str
    title: str
    variants: tuple[Variant, ...]
    axis: str = ""
    note: str = ""
    data_sets: tuple[str, ...] = ("HMDB51", "UCF101")

    def with_titles(self, recipe: Recipe) -> "Table":
        """Word the titles that depend on the recipe, but for those of variants that it has no room for."""
        return replace(self, variants=tuple(_with_title(each, recipe) for each in self.variants))


def _with_title(variant: Variant, recipe: Recipe) -> Variant:
    if variant.title_of is None:
        return variant
    try:
        return replace(variant, title=variant.title_of(variant.change(recipe)))
    except ValueError:
        return variant


def baseline(recipe: Recipe) -> Recipe:
    """Leave CLIP with a temporal embedding, word-weighted aggregation and English texts.

    The paper does not say what its baseline trains. Here that is the temporal embedding and nothing else: the towers
    stay frozen as in the other rungs.
    """
    adapters = TemporalEmbeddingConfig(tune_image_tower=recipe.model.adapters.tune_image_tower)
    return replace(recipe, model=replace(recipe.model, supervision="english", adapters=adapters))


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
    if kind != "c3d":
        return with_prompts(recipe, beta=kind)
    return with_prompts(recipe, beta=kind, beta_units=max(1, _require_prompts(recipe).beta_units // 2))


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
    if not isinstance(recipe.model.adapters, FineTuningConfig):
        raise SettingError(
            f"recipe {recipe.name!r} is one of {recipe.model.method}; start from one of vificlip, such as "
            "vificlip_shapes"
        )
    return replace(recipe, model=replace(recipe.model, adapters=FineTuningConfig(mode=mode, fusion=fusion)))


def with_prompts(recipe: Recipe, **changes: object) -> Recipe:
    """Change fields of the temporal prompts.

    Raises:
        SettingError: the recipe has none.
    """
    changed = replace(_require_prompts(recipe), **changes)  # type: ignore[arg-type]
    return replace(recipe, model=replace(recipe.model, adapters=changed))


def _require_prompts(recipe: Recipe) -> TemporalPromptConfig:
    prompts = recipe.model.adapters
    if not isinstance(prompts, TemporalPromptConfig):
        raise SettingError(
            f"recipe {recipe.name!r} has no temporal prompts to vary; start from one that has, such as dual_semantic"
        )
    return prompts
