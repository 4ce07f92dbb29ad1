"""What every interface asks: a bundle, the recogniser that answers with it, the label sets that it knows.

Beside them stand the threads for what a request's labels cost, which an interface uses too.
"""

from dataclasses import dataclass

from service.contract.manifest import Bundle
from service.labels.sets import LabelSets
from service.recognition.recognizer import Recognizer
from service.recognition.scoring_pool import ScoringPool


@dataclass(frozen=True)
class Answering:
    """A bundle and what answers with it."""

    bundle: Bundle
    recognizer: Recognizer
    label_sets: LabelSets
    scoring: ScoringPool
