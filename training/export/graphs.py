"""Which module of a model is behind which graph of a bundle; what the graphs look like lives in the contract."""

from torch import nn

from training.models.video_clip import VideoCLIP


def tower(model: VideoCLIP, name: str) -> nn.Module:
    """Return the module behind a graph.

    Raises:
        ValueError: the model has no such tower.
    """
    towers = {"video_encoder": model.video, "text_encoder_en": model.english, "text_encoder_zh": model.chinese}
    module = towers.get(name)
    if module is None:
        present = [key for key, value in towers.items() if value is not None]
        raise ValueError(f"the model has no {name!r}; it has {', '.join(present)}")
    return module
