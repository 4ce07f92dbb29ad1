"""Variants of a recipe: what one row of a table changes, as functions from recipe to recipe.

Which variants make a table, and what the paper measured, is in ``tables``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from training.config import Beta, Recipe
from training.errors import SettingError

Change = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class PaperAccuracy:
    """What the paper prints for one data set, in percent; None where it prints nothing."""

    top1: float | None = None
    top5: float | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a table: ``name`` is that of its folder, ``title`` what readers see.

    ``position`` is where it stands on the axis of a table that is drawn as curves, ``series`` the curve it belongs to.
    """

    name: str
    title: str
    change: Change
    position: int = 0
    series: str = ""
    hmdb51: PaperAccuracy = PaperAccuracy()
    ucf101: PaperAccuracy = PaperAccuracy()


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
