"""The manifest ``bundle.json``: typed, strict, and the only thing the service believes.

Reading and checking live here; writing a bundle is the exporter's work. Unknown keys, missing files and wrong digests
are errors that name what is wrong.
"""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.contract.errors import BundleError, LabelError
from service.contract.labels import Label, reject_repeats
from service.contract.layout import MANIFEST_NAME
from service.contract.precision import MIN_COSINE_BF16, Precision
from service.contract.prompts import check_template
from service.contract.sampling import NumLocalFrames, SamplingRule

# Format 2 has sections; the other keys are those of format 1.
FORMAT_VERSION: Final = 2

Method = Literal["dual_semantic", "vificlip", "vl_prompting", "tds", "vanilla"]
WordSet = Literal["label", "label_eot", "sentence", "bike77"]
Aggregation = Literal["word_weighted", "mean"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Triple = tuple[float, float, float]
Positive = Annotated[int, Field(gt=0)]
UnitInterval = Annotated[float, Field(ge=0.0, le=1.0)]


def _inside_bundle(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(f"file {path!r} must be a relative path inside the bundle")
    return path


Template = Annotated[str, AfterValidator(check_template)]
FilePath = Annotated[str, AfterValidator(_inside_bundle)]


class Record(BaseModel):
    """Base of every part of the manifest: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Preprocessing(Record):
    """From an upright RGB frame to the bytes the video graph takes; mean and std are applied inside the graph.

    ``resize_size`` is the short side in pixels for ``short_side`` and (height, width) for ``exact``.
    """

    input_size: Positive
    resize_rule: Literal["short_side", "exact"]
    resize_size: Positive | tuple[Positive, Positive]
    interpolation: Literal["bicubic", "bilinear"]
    crop_rule: Literal["centre"]
    mean: Triple
    std: Triple

    @model_validator(mode="after")
    def _sizes_fit(self) -> "Preprocessing":
        sides = self.resize_size if isinstance(self.resize_size, tuple) else (self.resize_size,)
        if (self.resize_rule == "exact") != (len(sides) == 2):
            raise ValueError(f"resize_rule {self.resize_rule!r} does not go with resize_size {self.resize_size}")
        if min(sides) < self.input_size:
            raise ValueError(f"resize_size {self.resize_size} is smaller than input_size {self.input_size}")
        return self


class Sampling(Record):
    """Which frames of a video make a clip.

    Around each of the ``num_frames`` centres lies a window of ``num_local_frames``: 1, but for ``tds`` 3 or 5 as well.
    The video graph takes frames [views, T, H, W, 3], or [views, T, n, H, W, 3] where a window has n > 1 frames.
    """

    rule: SamplingRule
    num_frames: Positive
    num_local_frames: NumLocalFrames = 1


class TextTower(Record):
    """One text tower: its digest keys the label banks; ``trained`` says whether it agrees with the video tower."""

    digest: Digest
    template: Template
    max_length: Positive
    trained: bool


class Lambda(Record):
    """The weight of English in the fusion (Deng et al. 2024, Eq. 18) and how it was chosen."""

    value: UnitInterval
    chosen: str


class Scoring(Record):
    """How frame features and label banks become scores (Deng et al. 2024, Eq. 5-7 and 18)."""

    aggregation: Aggregation
    word_set: WordSet
    renormalise: bool
    tau: Annotated[float, Field(gt=0.0)]
    fusion: Lambda


class ClassLabel(Record):
    """The name of one class of a closed vocabulary, in English, in Chinese, or in both."""

    en: Annotated[str, Field(min_length=1)] | None = None
    zh: Annotated[str, Field(min_length=1)] | None = None

    def to_label(self) -> Label:
        """Return the name as a label.

        Raises:
            LabelError: the class has no name.
        """
        return Label(self.en, self.zh)


class Metric(Record):
    """One measured figure with the protocol that makes it mean something."""

    name: str
    value: float
    protocol: str


class Provenance(Record):
    """Where the weights come from; nothing here changes an answer."""

    recipe: str
    config: dict[str, Any]
    training_data: dict[str, Any]
    metrics: tuple[Metric, ...]
    package_versions: dict[str, str]
    git_commit: str | None
    licences: dict[str, str] = Field(default_factory=dict)


class MeasuredPrecision(Record):
    """How near a graph comes to f32 in another precision: the smallest cosine, and the CPU it was measured on."""

    min_cosine: float
    cpu: str


class Sections(BaseModel):
    """What a bundle may say or not, each part on its own: a bundle is served without any of them.

    A section that a reader does not know is kept and told of, so that a newer bundle does not stop an older service.
    ``precisions`` are by graph and precision.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    precisions: dict[str, dict[Precision, MeasuredPrecision]] | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the sections that this reader does not know."""
        return tuple(sorted(self.model_extra or {}))

    @property
    def lacking(self) -> tuple[str, ...]:
        """Names of the sections that the bundle does without."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is None)

    def find_objection(self, graph: str, precision: Precision) -> str:
        """Say what was measured that speaks against running a graph in a precision; empty where nothing was."""
        measured = (self.precisions or {}).get(graph, {}).get(precision)
        if measured is None or measured.min_cosine >= MIN_COSINE_BF16:
            return ""
        return (
            f"the cosine of {graph} in {precision} to f32 was {measured.min_cosine:.6f} on {measured.cpu}; at least "
            f"{MIN_COSINE_BF16} is needed"
        )


NO_SECTIONS: Final = Sections()


class Manifest(Record):
    """Everything the service must know of a bundle.

    With an open vocabulary the video graph gives features of the joint space, which are compared with labels. With a
    closed one it gives ``frame_features`` [views, 1, classes], the logits of ``classes`` in their order.
    """

    format_version: Literal[1, 2]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    method: Method
    backbone: str
    vocabulary: Literal["open", "closed"]
    joint_dimension: Positive
    num_frame_features: Positive
    preprocessing: Preprocessing
    sampling: Sampling
    english: TextTower
    chinese: TextTower | None
    scoring: Scoring
    label_sets: tuple[str, ...] = ()
    classes: tuple[ClassLabel, ...] = ()
    files: dict[FilePath, Digest]
    provenance: Provenance
    sections: Sections = NO_SECTIONS

    @model_validator(mode="after")
    def _format_has_sections(self) -> "Manifest":
        if self.format_version == 1 and self.sections != NO_SECTIONS:
            raise ValueError("format_version is 1, which has no sections; make it 2, or take sections out")
        return self

    @model_validator(mode="after")
    def _chinese_is_usable(self) -> "Manifest":
        usable = self.chinese is not None and self.chinese.trained
        if not usable and self.scoring.fusion.value != 1.0:
            raise ValueError(
                f"lambda is {self.scoring.fusion.value}, but without a trained Chinese branch it must be 1"
            )
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> "Manifest":
        is_closed = self.vocabulary == "closed"
        if is_closed != bool(self.classes):
            raise ValueError(
                f"vocabulary is {self.vocabulary!r} with {len(self.classes)} classes; a closed one has classes, an "
                "open one has none"
            )
        if is_closed and (self.num_frame_features != 1 or self.scoring.fusion.value != 1.0):
            raise ValueError(
                f"vocabulary is 'closed', num_frame_features is {self.num_frame_features} and lambda is "
                f"{self.scoring.fusion.value}; logits come one row a view and are not fused: both must be 1"
            )
        try:
            reject_repeats(each.to_label() for each in self.classes)
        except LabelError as error:
            raise ValueError(f"classes: {error}") from error
        return self

    def to_json(self) -> dict[str, Any]:
        """Return what ``bundle.json`` holds, in the format that the manifest was written in."""
        values = self.model_dump(mode="json", exclude={"sections"})
        if self.format_version == 1:
            return values
        return {**values, "sections": self.sections.model_dump(mode="json", exclude_none=True)}

    @property
    def closed_vocabulary(self) -> tuple[Label, ...] | None:
        """The classes, or None where the vocabulary is open."""
        return tuple(each.to_label() for each in self.classes) or None

    @property
    def feature_dimension(self) -> int:
        """Length of the vectors that the video graph gives: the joint space's, or one logit a class."""
        return len(self.classes) or self.joint_dimension

    @property
    def has_chinese(self) -> bool:
        """Whether the Chinese branch exists and was trained to agree with the video tower."""
        return self.chinese is not None and self.chinese.trained


class Bundle(BaseModel):
    """A verified bundle on disk: its directory, its manifest, and the SHA-256 of the manifest's bytes."""

    model_config = ConfigDict(frozen=True)

    directory: Path
    manifest: Manifest
    digest: str


def parse_manifest(text: str | bytes, *, source: str) -> Manifest:
    """Read a manifest from JSON text.

    Raises:
        BundleError: the text is not JSON, or a key is missing, unknown or has an impossible value; the message names
            ``source`` and every such key.
    """
    try:
        return Manifest.model_validate_json(text, strict=False)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise BundleError(f"{source} is not a valid manifest: {problems}") from error


def render_manifest(manifest: Manifest) -> str:
    """Render a manifest as the JSON text of ``bundle.json``: stable key order, two spaces, final newline."""
    return json.dumps(manifest.to_json(), ensure_ascii=False, indent=2) + "\n"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_bundle(directory: Path) -> Bundle:
    """Read and verify a bundle: the manifest parses, every listed file exists with its digest, none is unlisted.

    Raises:
        BundleError: the directory, a key or a file is missing, unknown or altered; the message names it.
    """
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"{directory} is not a bundle: it has no {MANIFEST_NAME}; give the folder that holds one")
    content = path.read_bytes()
    manifest = parse_manifest(content, source=str(path))
    _verify_files(directory, manifest.files)
    return Bundle(directory=directory, manifest=manifest, digest=hashlib.sha256(content).hexdigest())


def _verify_files(directory: Path, files: dict[str, str]) -> None:
    present = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()} - {MANIFEST_NAME}
    if missing := sorted(set(files) - present):
        raise BundleError(f"{directory} lacks {', '.join(missing)}, which its manifest lists; export the bundle again")
    if unlisted := sorted(present - set(files)):
        raise BundleError(f"{directory} holds {', '.join(unlisted)}, which its manifest does not list; remove it")
    for name, expected in files.items():
        if (found := file_digest(directory / name)) != expected:
            raise BundleError(f"{name} in {directory} was altered: SHA-256 is {found}, the manifest says {expected}")
