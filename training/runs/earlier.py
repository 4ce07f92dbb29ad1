"""Recipes as earlier versions wrote them: a flat model with the fields of every method, most of them empty."""

from typing import Any

# How its features became scores.
_SCORING = ("aggregation", "word_set", "renormalise", "tau")
# What methods added, beside their own nested fields.
_ADAPTERS = ("method", "temporal_prompts", "tune_image_tower", "fusion", "mode", "vl_prompts", "side")
# What Side4Video does without was written all the same.
_NOT_IN_SIDE4VIDEO = ("num_local_frames", "td_adapter", "stem_padding")


def upgrade_recipe(values: Any) -> Any:  # noqa: ANN401
    """Rewrite the values of a recipe's file as they are written today; those of today, and unknown ones, stay."""
    model = values.get("model") if isinstance(values, dict) else None
    if not isinstance(model, dict) or "adapters" in model:
        return values
    adapters = _find_adapters(model)
    if adapters is None:
        return values
    kept = {name: value for name, value in model.items() if name not in {*_SCORING, *_ADAPTERS}}
    scoring = _take(model, *_SCORING)
    return {**values, "model": {**kept, "scoring": scoring, "adapters": adapters}}


def _find_adapters(model: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the method of a flat model added; None for a method that there never was."""
    method = model.get("method", "dual_semantic")
    tuned = _take(model, "tune_image_tower")
    if method == "vanilla":
        return {"kind": "none"}
    if method == "dual_semantic":
        prompts = model.get("temporal_prompts", {})
        return {"kind": "temporal_embedding" if prompts is None else "temporal_prompts", **(prompts or {}), **tuned}
    if method == "vificlip":
        return {"kind": "fine_tuning", **_take(model, "mode", "fusion")}
    if method == "vl_prompting":
        return {"kind": "deep_prompts", **(model.get("vl_prompts") or {}), **_take(model, "fusion")}
    if method == "tds":
        side = model.get("side") or {}
        dropped = _NOT_IN_SIDE4VIDEO if side.get("variant") == "side4video" else ()
        return {"kind": "side_network", **{k: v for k, v in side.items() if k not in dropped}, **tuned}
    return None


def _take(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
