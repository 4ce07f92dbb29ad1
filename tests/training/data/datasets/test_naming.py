"""Labels of a data set's classes: words, Chinese, and the data set's own spelling where it is wanted."""

import pytest

from service.contract.labels import Label
from training.data.datasets.naming import SPELLINGS, name_labels, split_words
from training.errors import DataError


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ApplyEyeMakeup", "apply eye makeup"),
        ("brush_hair", "brush hair"),
        ("playing+music", "playing music"),
        ("Putting something onto something", "Putting something onto something"),
        ("massaging person's head", "massaging person's head"),
        ("Archery", "Archery"),
    ],
)
def test_glued_names_are_split_into_words(name: str, words: str) -> None:
    assert split_words(name) == words


def test_dictionaries_know_classes_by_their_own_names() -> None:
    assert name_labels(["HandstandPushups"], spelling="words", data_set="ucf101") == (
        Label("handstand push ups", "倒立俯卧撑"),
    )
    assert name_labels(["HandstandPushups"], spelling="original", data_set="none") == (
        Label("HandstandPushups", "倒立俯卧撑"),
    )


def test_chinese_classes_get_english_where_it_is_known() -> None:
    for spelling in SPELLINGS:
        labels = name_labels(["倒立俯卧撑", "写板书法"], spelling=spelling, data_set="ucf101")
        assert labels == (Label("handstand push ups", "倒立俯卧撑"), Label(zh="写板书法"))


def test_unknown_classes_have_no_chinese() -> None:
    assert name_labels(["JugglingChainsaws"], spelling="words", data_set="none") == (Label("juggling chainsaws"),)


def test_classes_with_one_text_are_refused() -> None:
    assert name_labels(["foo", "bar"], spelling="words", data_set="none") == (Label("foo"), Label("bar"))
    with pytest.raises(DataError, match=r"classes 'FooBar' and 'foo_bar' are both called 'foo bar'; rename or remove"):
        name_labels(["FooBar", "foo_bar"], spelling="words", data_set="none")
