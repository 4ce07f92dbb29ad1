"""The folder of a run: its recipe, backbone, checkpoints and the record of its steps."""

from training.runs.run import load_model

__all__ = ["load_model"]
