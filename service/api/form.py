"""The form of a recognition: one model that OpenAPI shows, and that each field is checked by.

Where its texts come from, what this server limits and what the labels mean is in ``fields``.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from service.contract.errors import DuoActError, ImpossibleRequestError, MalformedRequestError
from service.contract.manifest import Template
from service.contract.views import DEFAULT_VIEWS, ViewPlan
from service.recognition.questions import Question, StoredVideo

NUM_SHOWN = 64
# What a field's check found, by pydantic's name for it: the error it is to a client, and what is said of it.
_REFUSALS: Mapping[str, tuple[type[DuoActError], str]] = {
    "missing": (MalformedRequestError, "no {name} was given; send one as the file {name!r}, {advice}"),
    "is_instance_of": (MalformedRequestError, "{name!r} is a text field; send a file, {advice}"),
    "extra_forbidden": (MalformedRequestError, "unknown field {name!r}; allowed are {allowed}"),
    "int_parsing": (MalformedRequestError, "{name} is {given!r}; give a whole number"),
    "int_parsing_size": (MalformedRequestError, "{name} is {given!r}; give a whole number of fewer digits"),
    "float_parsing": (MalformedRequestError, "{name} is {given!r}; give a number"),
    "bool_parsing": (MalformedRequestError, "{name} is {given!r}; give true or false"),
    "greater_than_equal": (ImpossibleRequestError, "{name} is {given}; it must be at least {ge:g}"),
    "greater_than": (ImpossibleRequestError, "{name} is {given}; it must be above {gt:g}"),
    "value_error": (ImpossibleRequestError, "{error}"),
}
# Another version of pydantic may tell more apart.
_OTHERWISE = (MalformedRequestError, "{name} is {given!r}; {message}")


def _check_printable(template: str) -> str:
    if not template.isprintable():
        raise ValueError(f"template is {template!r}; it must hold no control characters: remove them")
    return template


class RecognizeForm(BaseModel):
    """A video file, and in text fields what is asked about it."""

    # The default of ``views`` is a text too.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    video: Annotated[
        InstanceOf[StoredVideo],
        WithJsonSchema({"type": "string", "format": "binary"}),
        Field(description="The video file."),
    ]
    labels: Annotated[
        tuple[str, ...] | None,
        # A form repeats a field; a single one holds a list as JSON.
        WithJsonSchema({"type": "string"}),
        Field(
            description='A JSON list of texts or {"en", "zh"} objects; or the field repeated, one label each. '
            "Without labels, a bundle of a closed vocabulary answers with all of its classes."
        ),
    ] = None
    label_set: Annotated[str | None, Field(description="The name of a stored label set, instead of labels.")] = None
    top_k: Annotated[int, Field(ge=1, description="How many labels to return.")] = Question.top_k
    fusion_lambda: Annotated[
        float | None,
        # Shown here and checked with the languages, for those who ask without a form too.
        Field(alias="lambda", description="The weight of English.", json_schema_extra={"minimum": 0, "maximum": 1}),
    ] = None
    views: Annotated[
        ViewPlan,
        BeforeValidator(ViewPlan.parse),
        WithJsonSchema({"type": "string"}),
        Field(description="Clips x crops, such as 4x3."),
    ] = DEFAULT_VIEWS  # type: ignore[assignment]
    template: Annotated[
        Annotated[Template, AfterValidator(_check_printable)] | None,
        Field(description="An English prompt with one {} for the label."),
    ] = None
    strict: Annotated[bool, Field(description="Refuse instead of dropping a language.")] = False
    explain: Annotated[bool, Field(description="Add thumbnails and weights per label.")] = False
    deadline_seconds: Annotated[float | None, Field(gt=0, description="A shorter deadline than the service's own.")] = (
        None
    )


def describe_form() -> dict[str, Any]:
    """Describe the form as OpenAPI shows it."""
    return RecognizeForm.model_json_schema(schema_generator=_FormSchema)


def check_form(given: Mapping[str, object]) -> RecognizeForm:
    """Check the fields of a form: texts, but for ``video``, and ``labels`` as all that were sent.

    Raises:
        MalformedRequestError: no video, an unknown field, or a text that is not of the field's type.
        ImpossibleRequestError: a readable value outside what is allowed.
    """
    try:
        return RecognizeForm.model_validate(given)
    except ValidationError as error:
        raise explain_refusal(error) from error


def explain_refusal(error: ValidationError) -> DuoActError:
    """Say the first thing that is wrong with a form in the words of this service."""
    first = error.errors(include_url=False)[0]
    kind, sentence = _REFUSALS.get(first["type"], _OTHERWISE)
    text = sentence.format(
        name=str(first["loc"][0])[:NUM_SHOWN],
        given=str(first["input"])[:NUM_SHOWN],
        message=first["msg"],
        allowed=", ".join(field.alias or name for name, field in RecognizeForm.model_fields.items()),
        advice="with curl as -F video=@clip.mp4",
        **first.get("ctx", {}),
    )
    return kind(text)


class _FormSchema(GenerateJsonSchema):
    """The schema of a form, which knows no null: a field is there or is not."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Describe what may be left out as what may be given."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave out a default that only says that a field is not there."""
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - as pydantic calls it
        """Leave out titles that repeat the names."""
        return False
