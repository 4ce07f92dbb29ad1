"""The missing-language rule: which languages a request is scored in, so that its scores stay comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.contract.errors import LanguageError
from service.contract.labels import Label, Language
from service.contract.wording import list_some, shorten

_NAMES: dict[Language, str] = {"en": "English", "zh": "Chinese"}


@dataclass(frozen=True)
class LanguagePlan:
    """How a request is scored.

    ``fusion_lambda`` is the weight of English, ``weigh_words`` says whether English words weigh the frames (else
    frames are averaged), ``warnings`` says in sentences where this departs from what was asked.
    """

    fusion_lambda: float
    weigh_words: bool
    warnings: tuple[str, ...] = ()

    @property
    def languages(self) -> tuple[Language, ...]:
        """The languages whose similarities enter the score."""
        return _used_languages(self.fusion_lambda)


def plan_languages(
    labels: Sequence[Label],
    *,
    requested_lambda: float | None,
    default_lambda: float,
    has_chinese: bool,
    strict: bool,
    weigh_words: bool = True,
) -> LanguagePlan:
    """Choose the languages for a whole request.

    A language that fusion needs but some label lacks takes the whole request to the language that all labels have.

    Args:
        labels: the request's labels, counterparts already added.
        requested_lambda: the client's weight of English in [0, 1], or None for the bundle's.
        default_lambda: the bundle's weight of English.
        has_chinese: whether the bundle has a trained Chinese branch.
        strict: refuse instead of falling back.
        weigh_words: whether the bundle lets English words weigh the frames; where it averages them anyway, no text is
            missed for that.

    Raises:
        LanguageError: lambda asks for a Chinese branch that the bundle lacks, ``strict`` forbids a fallback, or the
            labels have no language in common; the message names the labels.
    """
    if requested_lambda is not None and not 0.0 <= requested_lambda <= 1.0:
        raise LanguageError(f"lambda is {requested_lambda}; it must be between 0 (Chinese only) and 1 (English only)")
    if not has_chinese and requested_lambda not in (None, 1.0):
        raise LanguageError(
            f"lambda is {requested_lambda}, but this bundle has no trained Chinese branch, so only 1 is possible"
        )
    weight = default_lambda if requested_lambda is None else requested_lambda
    lacking = {language: [label for label in labels if label.text(language) is None] for language in _NAMES}
    missing = [language for language in _used_languages(weight) if lacking[language]]
    if not missing:
        return _plan(weight, lacking["en"], weigh_words=weigh_words)
    sentence = "; ".join(_name_lacking(language, lacking[language]) for language in missing)
    if strict:
        raise LanguageError(f"{sentence}; strict is set: add the missing texts or choose another lambda")
    if not lacking["en"]:
        return LanguagePlan(1.0, weigh_words, (f"{sentence}: the whole request is scored in English alone",))
    if has_chinese and not lacking["zh"]:
        averaged = (_AVERAGED,) if weigh_words else ()
        return LanguagePlan(0.0, False, (f"{sentence}: the whole request is scored in Chinese alone", *averaged))
    sentence = "; ".join(_name_lacking(language, lacking[language]) for language in _NAMES if lacking[language])
    if not has_chinese:
        raise LanguageError(f"{sentence}; this bundle has no trained Chinese branch: give every label English text")
    raise LanguageError(f"the labels have no language in common: {sentence}; add the missing texts")


_AVERAGED = "without English text for every label there are no words to weigh frames with: frames are averaged"


def _used_languages(weight: float) -> tuple[Language, ...]:
    if weight <= 0:
        return ("zh",)
    return ("en",) if weight >= 1 else ("en", "zh")


def _plan(weight: float, lacking_english: list[Label], *, weigh_words: bool) -> LanguagePlan:
    if weigh_words and lacking_english:
        return LanguagePlan(weight, False, (_AVERAGED,))
    return LanguagePlan(weight, weigh_words)


def _name_lacking(language: Language, labels: Sequence[Label]) -> str:
    return f"no {_NAMES[language]} text for {list_some(labels, render=lambda label: shorten(str(label)))}"
