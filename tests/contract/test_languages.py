import pytest

from service.contract.errors import LanguageError
from service.contract.labels import Label
from service.contract.languages import LanguagePlan, plan_languages

BOTH, ENGLISH, CHINESE = Label("surfing", "冲浪"), Label("waving"), Label(zh="跳舞")
AVERAGED = "without English text for every label there are no words to weigh frames with: frames are averaged"
ENGLISH_ALONE = "no Chinese text for 'waving': the whole request is scored in English alone"
CHINESE_ALONE = "no English text for '跳舞': the whole request is scored in Chinese alone"


def plan(
    *labels: Label, weight: float | None = None, default: float = 0.5, has_chinese: bool = True, strict: bool = False
) -> LanguagePlan:
    return plan_languages(
        labels, requested_lambda=weight, default_lambda=default, has_chinese=has_chinese, strict=strict
    )


@pytest.mark.parametrize(
    ("labels", "weight", "expected"),
    [
        ([BOTH, BOTH], None, LanguagePlan(0.5, True)),
        ([BOTH], 0.3, LanguagePlan(0.3, True)),
        ([BOTH], 0.0, LanguagePlan(0.0, True)),
        ([BOTH, ENGLISH], 1.0, LanguagePlan(1.0, True)),
        ([BOTH, CHINESE], 0.0, LanguagePlan(0.0, False, (AVERAGED,))),
        ([BOTH, ENGLISH], None, LanguagePlan(1.0, True, (ENGLISH_ALONE,))),
        ([BOTH, ENGLISH], 0.0, LanguagePlan(1.0, True, (ENGLISH_ALONE,))),
        ([BOTH, CHINESE], None, LanguagePlan(0.0, False, (CHINESE_ALONE, AVERAGED))),
        ([BOTH, CHINESE], 1.0, LanguagePlan(0.0, False, (CHINESE_ALONE, AVERAGED))),
    ],
)
def test_request_is_scored_in_the_languages_that_all_labels_have(
    labels: list[Label], weight: float | None, expected: LanguagePlan
) -> None:
    assert plan(*labels, weight=weight) == expected


@pytest.mark.parametrize(
    ("labels", "weight", "expected"),
    [
        ([BOTH], None, LanguagePlan(0.5, False)),
        ([BOTH, CHINESE], 0.0, LanguagePlan(0.0, False)),
        ([BOTH, ENGLISH], None, LanguagePlan(1.0, False, (ENGLISH_ALONE,))),
        ([BOTH, CHINESE], None, LanguagePlan(0.0, False, (CHINESE_ALONE,))),
    ],
)
def test_bundle_that_averages_frames_misses_no_words(
    labels: list[Label], weight: float | None, expected: LanguagePlan
) -> None:
    found = plan_languages(
        labels, requested_lambda=weight, default_lambda=0.5, has_chinese=True, strict=False, weigh_words=False
    )
    assert found == expected


@pytest.mark.parametrize(("weight", "expected"), [(0.0, ("zh",)), (0.4, ("en", "zh")), (1.0, ("en",))])
def test_lambda_says_which_languages_are_used(weight: float, expected: tuple[str, ...]) -> None:
    assert plan(BOTH, weight=weight).languages == expected


@pytest.mark.parametrize("weight", [None, 1.0])
def test_bundle_without_chinese_scores_english(weight: float | None) -> None:
    assert plan(BOTH, ENGLISH, weight=weight, default=1.0, has_chinese=False) == LanguagePlan(1.0, True)


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan"), float("inf")])
def test_lambda_outside_of_its_range_is_refused(weight: float) -> None:
    with pytest.raises(LanguageError, match=f"lambda is {weight}; it must be between 0"):
        plan(BOTH, weight=weight)


def test_lambda_below_one_is_refused_without_a_chinese_branch() -> None:
    with pytest.raises(LanguageError, match=r"lambda is 0\.5, but this bundle has no trained Chinese branch"):
        plan(BOTH, weight=0.5, default=1.0, has_chinese=False)


@pytest.mark.parametrize(
    ("label", "weight", "message"),
    [
        (ENGLISH, None, "no Chinese text for 'waving'; strict is set: add the missing texts or choose another lambda"),
        (CHINESE, None, "no English text for '跳舞'; strict is set"),
        (CHINESE, 1.0, "no English text for '跳舞'; strict is set"),
        (ENGLISH, 0.0, "no Chinese text for 'waving'; strict is set"),
    ],
)
def test_strict_refuses_a_fallback(label: Label, weight: float | None, message: str) -> None:
    with pytest.raises(LanguageError, match=message):
        plan(BOTH, label, weight=weight, strict=True)


@pytest.mark.parametrize("weight", [None, 0.0, 1.0])
def test_labels_without_a_common_language_are_refused_and_named(weight: float | None) -> None:
    message = "the labels have no language in common: no English text for '跳舞'; no Chinese text for 'waving'; add"
    with pytest.raises(LanguageError, match=message):
        plan(ENGLISH, CHINESE, weight=weight)


def test_chinese_label_is_refused_without_a_chinese_branch() -> None:
    with pytest.raises(LanguageError, match="no English text for '跳舞'; this bundle has no trained Chinese branch"):
        plan(BOTH, CHINESE, default=1.0, has_chinese=False)


def test_only_five_labels_are_named() -> None:
    labels = [Label(str(number)) for number in range(8)]
    with pytest.raises(LanguageError, match="no Chinese text for '0', '1', '2', '3', '4' and 3 more; strict"):
        plan(*labels, strict=True)
