"""Prompt templates: where a label's text stands in the sentence that a text tower reads."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A rendered template, cut at the label: ``prefix + label + suffix``."""

    prefix: str
    label: str
    suffix: str

    def __str__(self) -> str:
        return self.prefix + self.label + self.suffix


def render_prompt(template: str, label: str) -> Prompt:
    """Put a label into a template.

    Raises:
        ValueError: the template does not contain exactly one ``{}``.
    """
    prefix, suffix = check_template(template).split("{}")
    return Prompt(prefix, label, suffix)


def check_template(template: str) -> str:
    """Return a template that has one place for a label.

    Raises:
        ValueError: it has none, or several.
    """
    if template.count("{}") != 1:
        raise ValueError(f"template is {template!r}; it must contain exactly one {{}}, where the label goes")
    return template
