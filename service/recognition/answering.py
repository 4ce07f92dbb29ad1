"""What every interface asks: a bundle, the recogniser that answers with it, and the label sets that it knows."""

from dataclasses import dataclass

from service.contract.manifest import Bundle
from service.labels.sets import LabelSets
from service.recognition.recognizer import Recognizer


@dataclass(frozen=True)
class Answering:
    """A bundle and what answers with it."""

    bundle: Bundle
    recognizer: Recognizer
    label_sets: LabelSets
