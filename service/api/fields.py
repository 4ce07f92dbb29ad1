"""What a form asks: from the bytes of its fields to a video and a question about it, in two steps.

Fields are read at once; labels, which may be thousands, are read as work. Which fields there are, and what each may
hold, is in ``form``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.api.form import NUM_SHOWN, RecognizeForm, check_form
from service.api.json_text import JsonLimits, read_json
from service.api.uploads import Form
from service.contract.errors import ImpossibleRequestError, MalformedRequestError
from service.contract.labels import Label, LabelLimits, parse_labels
from service.labels.sets import LabelSets
from service.recognition.questions import Question

# An object, two texts, and what is wrong with a label that has more, so that it can be named.
_VALUES_PER_LABEL = 8
_LABEL_DEPTH = 8


@dataclass(frozen=True)
class FieldLimits:
    """How many labels a request may hold and how long they and the template may be."""

    labels: LabelLimits
    num_template_characters: int


def read_fields(form: Form, *, limits: FieldLimits) -> RecognizeForm:
    """Read the fields of a form, labels as texts.

    Raises:
        MalformedRequestError: no video, an unknown or repeated field, a wrong type, or text that is not UTF-8.
        ImpossibleRequestError: a readable value outside what is allowed.
    """
    texts = _decode(form.fields)
    # Before the text is looked at, which a refusal would repeat.
    _check_length(texts.get("template", [""])[0], most=limits.num_template_characters)
    files = {} if form.video is None else {"video": form.video}
    return check_form(files | {name: values if name == "labels" else values[0] for name, values in texts.items()})


def read_question(
    read: RecognizeForm,
    *,
    label_sets: LabelSets,
    limits: FieldLimits,
    default_labels: tuple[Label, ...] | None = None,
) -> Question:
    """Read what a form asks about its video; ``default_labels`` are what is asked where no labels are given.

    Raises:
        MalformedRequestError: labels that cannot be read, or none.
        ImpossibleRequestError: labels or a rank outside what is allowed.
        NotFoundError: no such label set.
    """
    # Labels first: whoever sends too many of them learns that, and not that fewer can be ranked.
    labels = _choose_labels(read, label_sets=label_sets, limits=limits.labels, default_labels=default_labels)
    _check_top_k(read.top_k, most=limits.labels.num_labels)
    return Question(
        labels=labels,
        plan=read.views,
        top_k=read.top_k,
        fusion_lambda=read.fusion_lambda,
        template=read.template,
        strict=read.strict,
        explain=read.explain,
    )


def _decode(fields: Sequence[tuple[str, bytes]]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, value in fields:
        if name in texts and name != "labels":
            raise MalformedRequestError(f"field {name[:NUM_SHOWN]!r} was given twice; give it once")
        try:
            texts.setdefault(name, []).append(value.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise MalformedRequestError(
                f"field {name[:NUM_SHOWN]!r} is not UTF-8: {error}; encode it as UTF-8"
            ) from error
    return texts


def _check_length(template: str, *, most: int) -> None:
    if len(template) > most:
        raise ImpossibleRequestError(f"template has {len(template)} characters; at most {most} are allowed: shorten")


def _check_top_k(top_k: int, *, most: int) -> None:
    if top_k > most:
        raise ImpossibleRequestError(f"top_k is {str(top_k)[:NUM_SHOWN]}; it must be between 1 and {most}")


def _choose_labels(
    read: RecognizeForm, *, label_sets: LabelSets, limits: LabelLimits, default_labels: tuple[Label, ...] | None
) -> tuple[Label, ...]:
    if read.labels is not None and read.label_set is not None:
        raise MalformedRequestError("both 'labels' and 'label_set' were given; give one of them")
    if read.labels is not None:
        return parse_labels(_read_label_values(read.labels, most=limits.num_labels), limits=limits)
    if read.label_set is not None:
        return label_sets.find(read.label_set).labels
    if default_labels is not None:
        return default_labels
    raise MalformedRequestError("no labels were given; send 'labels' as a JSON list, or 'label_set' with a stored name")


def _read_label_values(values: Sequence[str], *, most: int) -> list[Any]:
    """Label values from one JSON array, or from fields that each hold a JSON object or a plain text."""
    if len(values) > 1:
        return [_read_object(value) if value.lstrip().startswith("{") else value for value in values]
    [value] = values
    if value.lstrip().startswith("["):
        return list(read_json(value, name="labels", limits=JsonLimits(_VALUES_PER_LABEL * most, _LABEL_DEPTH)))
    if value.lstrip().startswith("{"):
        return [_read_object(value)]
    if _is_json(value) or "," in value or "，" in value:
        raise MalformedRequestError(
            f'labels is {value[:NUM_SHOWN]!r}; send a JSON list such as ["running", "跳舞"], '
            "or one field 'labels' for each label"
        )
    return [value]


def _read_object(text: str) -> Any:  # noqa: ANN401
    return read_json(text, name="labels", limits=JsonLimits(_VALUES_PER_LABEL, _LABEL_DEPTH))


def _is_json(text: str) -> bool:
    """Whether a text is a JSON number, string, or constant: valid JSON, but not a list of labels."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
