"""What a person sees of a fit."""

from io import StringIO

from rich.console import Console

from tests.training.tiny import tiny_model
from training.fitting.progress import show_fit
from training.runs.curves import StepRecord


def test_fit_shows_parameters_and_figures() -> None:
    console = Console(file=StringIO(), width=160, force_terminal=True, color_system=None)
    with show_fit(console) as begin:
        observe = begin(tiny_model())
        for step, loss in ((1, 2.0), (2, 4.0)):
            observe(StepRecord(step, 2, 0, loss, loss, None, 1e-3, 0.5, 0.25))
    assert isinstance(console.file, StringIO)
    output = console.file.getvalue()
    assert "temporal_prompts" in output
    assert "2/2 loss 2.100  lr 1.0e-03  250 ms/step" in output
