"""The caption grammar says the same in both languages and stays inside its listed words."""

import numpy as np
import pytest

from service.contract.tokenizer import UNKNOWN
from training.data.motion_shapes.vocabulary import ACTIONS
from training.demo.captions import (
    ACTION_PHRASES,
    PREDICATES,
    Caption,
    Facts,
    draw_caption,
    find_true,
    list_phrases,
    predicate_number,
)
from training.demo.vocabularies import train_chinese_tokenizer, train_english_tokenizer

LEFT, UP = predicate_number("action", "left"), predicate_number("action", "up")


@pytest.mark.parametrize(
    ("key", "en", "zh"),
    [
        (("place", 0, 2), "{} at the bottom left", "{}在下边左边"),
        (("place", 1, 1), "{} at the middle middle", "{}在中间中间"),
        (("size", 4), "{} of huge size", "{}很大"),
        (("direction", 2), "{} with a dot at its right", "{}的圆点在右"),
        (("distance", 3), "{} far from each other", "{}远隔"),
        (("opacity", 0), "faint {}", "{}模糊"),
    ],
)
def test_predicates_say_what_their_values_mean(key: tuple[str, int], en: str, zh: str) -> None:
    phrases = list(PREDICATES.values())[predicate_number(*key)]
    assert (phrases.en[0], phrases.zh[0]) == (en, zh)


def test_every_action_has_paraphrases_that_no_other_action_uses() -> None:
    assert set(ACTION_PHRASES) == {action.name for action in ACTIONS}
    for texts in ([each.en for each in ACTION_PHRASES.values()], [each.zh for each in ACTION_PHRASES.values()]):
        flat = [text for variants in texts for text in variants]
        assert len(set(flat)) == len(flat)
        assert min(map(len, texts)) >= 3


def test_captions_name_the_action_in_both_languages() -> None:
    facts = Facts(shape=0, colour=0, is_pair=False, predicates=(predicate_number("action", "growing"),))
    rng = np.random.default_rng(0)
    drawn = [draw_caption(facts, rng=rng) for _ in range(300)]
    captions = [each for each in drawn if each.predicate == facts.predicates[0]]
    phrases = ACTION_PHRASES["growing"]
    assert all(any(text.format("").strip() in each.en for text in phrases.en) for each in captions)
    assert all(any(text.format("") in each.zh for text in phrases.zh) for each in captions)
    assert {"This is a video about a red circle growing", "circle growing"} <= {each.en for each in captions}


def test_captions_of_two_shapes_count_them() -> None:
    facts = Facts(shape=4, colour=0, is_pair=True, predicates=(predicate_number("action", "approaching"),))
    caption = draw_caption(facts, rng=np.random.default_rng(1))
    assert "two " in caption.en
    assert "两个" in caption.zh


@pytest.mark.parametrize(
    ("shape", "colour", "predicate", "expected"),
    [
        (3, 5, LEFT, [True, False, False, False]),
        (None, 5, LEFT, [True, True, False, False]),
        (None, None, LEFT, [True, True, True, False]),
        (3, None, UP, [False, False, False, True]),
    ],
)
def test_captions_are_true_of_the_stills_that_agree_with_all_they_say(
    shape: int | None, colour: int | None, predicate: int, expected: list[bool]
) -> None:
    stills = [(3, 5, LEFT), (1, 5, LEFT), (3, 2, LEFT), (3, 5, UP)]
    facts = [Facts(each, tone, is_pair=False, predicates=(said,)) for each, tone, said in stills]
    caption = Caption(en="", zh="", shape=shape, colour=colour, predicate=predicate)
    assert find_true(facts, [caption])[:, 0].tolist() == expected


def test_english_tokenizer_keeps_every_label_word_in_few_tokens() -> None:
    tokenizer = train_english_tokenizer(list_phrases()[0], num_merges=350)
    tokens = tokenizer.encode("two circles turning counter-clockwise").tokens
    assert tokens == ["two</w>", "circles</w>", "turning</w>", "counter</w>", "-</w>", "clockwise</w>"]


@pytest.mark.parametrize("text", ["crème brûlée", "打篮球", "🙂", "naïve 42"])
def test_english_tokenizer_can_spell_any_text(text: str) -> None:
    tokenizer = train_english_tokenizer(list_phrases()[0], num_merges=350)
    spelled = "".join(tokenizer.encode(text).tokens).replace("</w>", "")
    assert tokenizer.decoder.decode([spelled]) == text.replace(" ", "")


def test_chinese_tokenizer_knows_its_captions_and_latin_letters() -> None:
    texts = list_phrases()[1]
    tokenizer = train_chinese_tokenizer(texts)
    assert [tokenizer.token_to_id(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [0, 1, 2, 3, 4]
    assert not any(UNKNOWN in tokenizer.encode(text.replace("{}", "a1")).tokens for text in texts)
    assert tokenizer.encode("圆形ab1").tokens == ["圆", "形", "a", "##b", "##1"]
