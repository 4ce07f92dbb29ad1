"""Top-1 over lambda on the split where lambda is chosen; the split that is reported has no part in it."""

from typing import Any

from matplotlib.figure import Figure

from service.contract.manifest import Lambda
from training.evaluation.figures.style import BLUE, VERMILION
from training.evaluation.protocols import LambdaSweep


def describe_lambda(sweep: LambdaSweep, *, fusion: Lambda) -> dict[str, Any]:
    """Return the curve and the choice as JSON values."""
    return {
        "split": sweep.split,
        "num_videos": sweep.num_videos,
        "lambda": list(sweep.top1),
        "top1": list(sweep.top1.values()),
        "chosen": fusion.value,
        "how": fusion.chosen,
    }


def draw_lambda(sweep: LambdaSweep, *, fusion: Lambda) -> Figure:
    """Draw the curve, with one standard error of a proportion, and mark the chosen value."""
    values, shares = list(sweep.top1), list(sweep.top1.values())
    errors = [(share * (1 - share) / sweep.num_videos) ** 0.5 for share in shares]
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    low = [100 * (share - error) for share, error in zip(shares, errors, strict=True)]
    high = [100 * (share + error) for share, error in zip(shares, errors, strict=True)]
    axes.fill_between(values, low, high, color=BLUE, alpha=0.15, linewidth=0, label="± 1 standard error")
    axes.plot(values, [100 * share for share in shares], color=BLUE, marker="o", markersize=3.5, label="top-1")
    chosen = 100 * sweep.top1[fusion.value]
    axes.plot(
        [fusion.value],
        [chosen],
        color=VERMILION,
        marker="D",
        markersize=8,
        linestyle="none",
        label=f"chosen: λ = {fusion.value:g}, {chosen:.1f} %",
    )
    axes.set_xlabel("λ, weight of English  (0: Chinese alone, 1: English alone)")
    axes.set_ylabel("top-1 (%)")
    axes.set_title(f"Choice of λ on split “{sweep.split}”, {sweep.num_videos} videos", fontsize=11)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return figure
