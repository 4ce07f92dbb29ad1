"""What the demo's text towers must know: the two actions of a pair are further apart than two ways to say one thing."""

import numpy as np
import pytest
from jaxtyping import Float32
from onnxruntime import InferenceSession

from service.contract.labels import Language
from service.contract.manifest import Manifest, open_bundle
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from tests.end_to_end.server import DEMO
from training.data.motion_shapes import motion_shapes_labels
from training.data.motion_shapes.vocabulary import PAIRS
from training.demo.captions import ACTION_PHRASES

# Shares of the distance: a pair must be at least this much further apart than a paraphrase.
MIN_MARGIN = 0.03


def embed(texts: list[str], language: Language, *, manifest: Manifest) -> Float32[np.ndarray, "L D"]:
    session = InferenceSession(DEMO / f"text_encoder_{language}" / "1" / "model.onnx")
    if language == "en":
        tower = manifest.english
        english = EnglishTokenizer.from_file(DEMO / "tokenizer_en.json", max_length=tower.max_length)
        tokens = english.encode(texts, template=tower.template, word_set="label")
        inputs = {"token_ids": tokens.token_ids, "eot_index": tokens.eot_index}
    else:
        assert manifest.chinese is not None
        chinese = ChineseTokenizer.from_file(DEMO / "tokenizer_zh.json", max_length=manifest.chinese.max_length)
        characters = chinese.encode(texts, template=manifest.chinese.template)
        inputs = {"token_ids": characters.token_ids, "attention_mask": characters.attention_mask}
    (embeddings,) = session.run(["embedding"], inputs)
    return embeddings


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_are_further_apart_than_paraphrases(pair: str, language: Language) -> None:
    labels = [label for label in motion_shapes_labels() if label.action.pair == pair]
    manifest = open_bundle(DEMO).manifest
    own = embed([getattr(label, language) for label in labels], language, manifest=manifest)
    said_otherwise = [getattr(ACTION_PHRASES[label.action.name], language)[1] for label in labels]
    subjects = [
        (f"two {label.shape.plural}" if pair == "distance" else label.shape.en)
        if language == "en"
        else ("两个" if pair == "distance" else "") + label.shape.zh
        for label in labels
    ]
    texts = [text.format(subject) for text, subject in zip(said_otherwise, subjects, strict=True)]
    paraphrase = (own * embed(texts, language, manifest=manifest)).sum(axis=1).mean()
    opposite = (own[::2] * own[1::2]).sum(axis=1).mean()
    assert opposite < paraphrase - MIN_MARGIN
