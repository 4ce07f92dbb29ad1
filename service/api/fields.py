"""What the text fields of a recognition mean: from bytes to a question, each refusal naming the field and the value."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from service.contract.errors import ImpossibleRequestError, MalformedRequestError
from service.contract.labels import Label, LabelLimits, parse_labels
from service.contract.views import DEFAULT_VIEWS, ViewPlan
from service.labels.sets import LabelSets
from service.recognition.questions import Question

ALLOWED = ("deadline_seconds", "explain", "label_set", "labels", "lambda", "strict", "template", "top_k", "views")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_SHOWN = 64


@dataclass(frozen=True)
class FieldLimits:
    """How many labels a request may hold and how long they and the template may be."""

    labels: LabelLimits
    num_template_characters: int


@dataclass(frozen=True)
class RecognitionRequest:
    """A question, and the shorter deadline that the client asks for."""

    question: Question
    deadline_seconds: float | None


def read_question(
    fields: Sequence[tuple[str, bytes]],
    *,
    label_sets: LabelSets,
    limits: FieldLimits,
    default_labels: tuple[Label, ...] | None = None,
) -> RecognitionRequest:
    """Read the text fields of a recognition; ``default_labels`` are what is asked where no labels are given.

    Raises:
        MalformedRequestError: an unknown or repeated field, a wrong type, or text that is not UTF-8.
        ImpossibleRequestError: a readable value outside what is allowed.
        NotFoundError: no such label set.
    """
    texts = _decode(fields)
    given = {name: values[0] for name, values in texts.items()}
    question = Question(
        labels=_read_choice(texts, label_sets=label_sets, limits=limits.labels, default_labels=default_labels),
        plan=ViewPlan.parse(given.get("views", DEFAULT_VIEWS)),
        top_k=_read_top_k(given.get("top_k", "5"), limits=limits.labels),
        fusion_lambda=_read_number(given, "lambda"),
        template=_read_template(given.get("template"), max_characters=limits.num_template_characters),
        strict=_read_truth(given, "strict"),
        explain=_read_truth(given, "explain"),
    )
    return RecognitionRequest(question, _read_deadline(given))


def _decode(fields: Sequence[tuple[str, bytes]]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, value in fields:
        if name == "video":
            raise MalformedRequestError("'video' is a text field; send a file, with curl as -F video=@clip.mp4")
        if name not in ALLOWED:
            raise MalformedRequestError(f"unknown field {name[:_SHOWN]!r}; allowed are video, {', '.join(ALLOWED)}")
        if name in texts and name != "labels":
            raise MalformedRequestError(f"field {name!r} was given twice; give it once")
        try:
            texts.setdefault(name, []).append(value.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise MalformedRequestError(f"field {name!r} is not UTF-8: {error}; encode it as UTF-8") from error
    return texts


def _read_choice(
    texts: Mapping[str, Sequence[str]],
    *,
    label_sets: LabelSets,
    limits: LabelLimits,
    default_labels: tuple[Label, ...] | None,
) -> tuple[Label, ...]:
    if "labels" in texts and "label_set" in texts:
        raise MalformedRequestError("both 'labels' and 'label_set' were given; give one of them")
    if "labels" in texts:
        return parse_labels(_read_label_values(texts["labels"]), limits=limits)
    if "label_set" in texts:
        return label_sets.find(texts["label_set"][0]).labels
    if default_labels is not None:
        return default_labels
    raise MalformedRequestError("no labels were given; send 'labels' as a JSON list, or 'label_set' with a stored name")


def _read_label_values(values: Sequence[str]) -> list[Any]:
    """Label values from one JSON array, or from fields that each hold a JSON object or a plain text."""
    if len(values) > 1:
        return [_read_json(value) if value.lstrip().startswith("{") else value for value in values]
    [value] = values
    if value.lstrip().startswith("["):
        return list(_read_json(value))
    if value.lstrip().startswith("{"):
        return [_read_json(value)]
    if _is_json(value) or "," in value or "，" in value:
        raise MalformedRequestError(
            f'labels is {value[:_SHOWN]!r}; send a JSON list such as ["running", "跳舞"], '
            "or one field 'labels' for each label"
        )
    return [value]


def _read_json(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(f"labels {text[:_SHOWN]!r} is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _is_json(text: str) -> bool:
    """Whether a text is a JSON number, string, or constant: valid JSON, but not a list of labels."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read_top_k(text: str, *, limits: LabelLimits) -> int:
    if not text.strip().lstrip("+-").isdecimal() or len(text) > _SHOWN:
        raise MalformedRequestError(f"top_k is {text[:_SHOWN]!r}; give a whole number")
    top_k = int(text)
    if not 1 <= top_k <= limits.num_labels:
        raise ImpossibleRequestError(f"top_k is {top_k}; it must be between 1 and {limits.num_labels}")
    return top_k


def _read_number(given: Mapping[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        return float(given[name])
    except ValueError as error:
        raise MalformedRequestError(f"{name} is {given[name][:_SHOWN]!r}; give a number") from error


def _read_truth(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text.lower() not in _TRUTH:
        raise MalformedRequestError(f"{name} is {text[:_SHOWN]!r}; give true or false")
    return _TRUTH[text.lower()]


def _read_template(text: str | None, *, max_characters: int) -> str | None:
    if text is None:
        return None
    if len(text) > max_characters:
        raise ImpossibleRequestError(
            f"template has {len(text)} characters; at most {max_characters} are allowed: shorten"
        )
    if text.count("{}") != 1 or not text.isprintable():
        raise ImpossibleRequestError(
            f"template is {text!r}; it must hold exactly one {{}}, where the label goes, and no control characters"
        )
    return text


def _read_deadline(given: Mapping[str, str]) -> float | None:
    seconds = _read_number(given, "deadline_seconds")
    if seconds is not None and not seconds > 0:
        raise ImpossibleRequestError(f"deadline_seconds is {seconds}; it must be above 0")
    return seconds
