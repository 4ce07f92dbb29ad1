"""The whole model: a video encoder, an English and a Chinese text tower in one joint space."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from service.contract.labels import Label
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from training.config.model import ModelConfig
from training.models.chinese_text import ChineseTextTower
from training.models.clip import EnglishTextTower
from training.models.video_encoder import VideoEncoder


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers that go with a model's text towers."""

    english: EnglishTokenizer
    chinese: ChineseTokenizer | None


@dataclass(frozen=True)
class LabelTokens:
    """English labels as inputs of the text tower, and which of its outputs are words of the label."""

    token_ids: Int[Tensor, "L length"]
    eot_index: Int[Tensor, " L"]
    is_word: Bool[Tensor, "L length"]


@dataclass(frozen=True)
class EnglishText:
    """English labels in the joint space: embeddings, and the words of all labels one after another."""

    embedding: Float[Tensor, "L D"]
    words: Float[Tensor, "N D"]
    word_counts: Int[Tensor, " L"]


class VideoCLIP(nn.Module):
    """A video model whose towers share one joint space of dimension D; every output is of unit length.

    ``logit_scale`` is the logarithm of 1 / tau where a method learns it or takes it from CLIP, else None: tau is then
    the config's. ``classes`` are what the logits of a closed vocabulary stand for, once a run has learned them.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        video: VideoEncoder,
        english: EnglishTextTower,
        chinese: ChineseTextTower | None,
        tokenizers: Tokenizers | None,
    ) -> None:
        """Join built towers; ``tokenizers`` may be absent where no text is encoded, as for counting parameters."""
        super().__init__()
        self.config = config
        self.video = video
        self.english = english
        self.chinese = chinese
        self.tokenizers = tokenizers
        self.classes: tuple[Label, ...] = ()
        has_scale = config.adapters.learns_temperature
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(config.scoring.tau))) if has_scale else None

    def encode_video(self, frames: UInt8[Tensor, "N T *n H W 3"]) -> Float[Tensor, "N K D"]:
        """Encode clips of upright RGB frames at the model's input size; n local frames stand for each where it has any.

        A model with a closed set of classes returns their logits as one feature, which is not of unit length.

        Raises:
            ValueError: the clips have another number of frames, local frames, or pixels, than the model's.
        """
        if frames.shape[1] != self.config.num_frames:
            raise ValueError(f"clips have {frames.shape[1]} frames; this model takes exactly {self.config.num_frames}")
        num_local_frames = math.prod(frames.shape[2:-3])
        if num_local_frames != self.config.num_local_frames:
            raise ValueError(
                f"clips have {num_local_frames} local frames around each of theirs; this model takes exactly "
                f"{self.config.num_local_frames}"
            )
        size = self.config.preprocessing.input_size
        height, width = frames.shape[-3:-1]
        if (height, width) != (size, size):
            raise ValueError(f"frames are {width} x {height} pixels; this model takes crops of {size} x {size}")
        features: Tensor = self.video(frames)
        return features

    def tokenize_en(self, labels: Sequence[str]) -> LabelTokens:
        """Tokenize English labels inside the model's template.

        Raises:
            ValueError: the model was built without tokenizers.
        """
        tokens = self._tokenizers.english.encode(
            labels, template=self.config.template_en, word_set=self.config.scoring.word_set
        )
        return LabelTokens(*(self._tensor(array) for array in (tokens.token_ids, tokens.eot_index, tokens.is_word)))

    @torch.no_grad()
    def encode_text_en(self, labels: Sequence[str]) -> EnglishText:
        """Encode English labels inside the model's template, with the words that weigh frames.

        Raises:
            ValueError: the model was built without tokenizers.
        """
        tokens = self.tokenize_en(labels)
        embedding, words = self.english(tokens.token_ids, tokens.eot_index)
        return EnglishText(embedding, words[tokens.is_word], tokens.is_word.sum(dim=1))

    @torch.no_grad()
    def encode_text_zh(self, labels: Sequence[str]) -> Float[Tensor, "L D"]:
        """Encode Chinese labels inside the model's template.

        Raises:
            ValueError: the model has no Chinese branch, or was built without tokenizers.
        """
        tokenizer = self._tokenizers.chinese
        if self.chinese is None or tokenizer is None:
            raise ValueError("this model has no Chinese branch; build it with a Chinese text tower")
        tokens = tokenizer.encode(labels, template=self.config.template_zh)
        embedding: Tensor = self.chinese(self._tensor(tokens.token_ids), self._tensor(tokens.attention_mask))
        return embedding

    def adopt_temperature(self) -> None:
        """Take tau from the logit scale, where the model has one, into the config by which features are scored."""
        if self.logit_scale is not None:
            scoring = replace(self.config.scoring, tau=math.exp(-self.logit_scale.item()))
            self.config = replace(self.config, scoring=scoring)

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the parameters that the optimizer changes."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    @property
    def _tokenizers(self) -> Tokenizers:
        if self.tokenizers is None:
            raise ValueError("this model was built without tokenizers and cannot encode text")
        return self.tokenizers

    def _tensor(self, array: object) -> Tensor:
        return torch.as_tensor(array, device=self.english.positional_embedding.device)
