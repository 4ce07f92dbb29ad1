"""Contrastive pre-training of the tiny CLIP on stills, and alignment of a Chinese tower to its frozen image tower.

Objective, optimizer and learning rate are those of a fit; the targets are not, as a caption may be true of several
stills. Drawing of the stills is in `stills`; sizes, lengths and the whole sequence are in `towers`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from rich.progress import track
from torch import Tensor, nn

from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from training.config.model import CLIP_MEAN, CLIP_STD
from training.demo.captions import draw_caption, find_true
from training.demo.stills import Still
from training.fitting.losses import symmetric_cross_entropy
from training.fitting.optimizer import build_optimizer, learning_rate_factor, set_learning_rate
from training.models.chinese_text import ChineseTextTower
from training.models.clip import CLIP, EnglishTextTower
from training.models.video_encoder import VideoEncoder

MAX_LOGIT_SCALE = 100.0
TEMPLATE = "{}"
# A short memory of squared gradients, as CLIP: they shrink fast early on.
ADAM_BETAS = (0.9, 0.98)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Set the length and step size of contrastive training on stills; the learning rate decays by a cosine."""

    num_steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 100
    weight_decay: float = 0.05
    max_gradient_norm: float = 1.0


@dataclass(frozen=True)
class StillBatch:
    """Hold stills, a caption of each, and which captions are true of which stills."""

    pixels: UInt8[Tensor, "B H W 3"]
    en: tuple[str, ...]
    zh: tuple[str, ...]
    is_true: Bool[Tensor, "B B"]


def pretrain_clip(
    clip: CLIP, stills: Sequence[Still], *, tokenizer: EnglishTokenizer, config: PretrainConfig, seed: int
) -> list[float]:
    """Train a CLIP in place on stills and English captions; return the loss of every step."""
    video, english = image_tower(clip), EnglishTextTower(clip)

    def loss_of(batch: StillBatch) -> Float[Tensor, ""]:
        tokens = tokenizer.encode(batch.en, template=TEMPLATE, word_set="label_eot")
        texts, _ = english(torch.from_numpy(tokens.token_ids), torch.from_numpy(tokens.eot_index))
        scale = clip.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)
        logits = scale * encode_stills(video, batch.pixels) @ texts.T
        return caption_loss(logits, is_true=batch.is_true)

    batches = draw_batches(stills, config=config, seed=seed)
    return _minimise(loss_of, module=clip, batches=batches, config=config, description="pre-training on stills")


def align_chinese(
    chinese: ChineseTextTower,
    stills: Sequence[Still],
    *,
    clip: CLIP,
    tokenizer: ChineseTokenizer,
    config: PretrainConfig,
    seed: int,
) -> list[float]:
    """Train a Chinese tower in place against a CLIP's frozen image tower; return the loss of every step."""
    video = image_tower(clip)
    scale = clip.logit_scale.detach().exp().clamp(max=MAX_LOGIT_SCALE)

    def loss_of(batch: StillBatch) -> Float[Tensor, ""]:
        tokens = tokenizer.encode(batch.zh, template=TEMPLATE)
        texts = chinese(torch.from_numpy(tokens.token_ids), torch.from_numpy(tokens.attention_mask))
        with torch.no_grad():
            images = encode_stills(video, batch.pixels)
        return caption_loss(scale * images @ texts.T, is_true=batch.is_true)

    batches = draw_batches(stills, config=config, seed=seed)
    return _minimise(loss_of, module=chinese, batches=batches, config=config, description="aligning Chinese")


def image_tower(clip: CLIP) -> VideoEncoder:
    """View a CLIP's image tower as an encoder of one-frame clips, so that stills take the path of frames."""
    return VideoEncoder(clip.visual, num_frames=1, prompts=None, mean=CLIP_MEAN, std=CLIP_STD)


def encode_stills(video: VideoEncoder, pixels: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B D"]:
    """Embed stills as clips of one frame."""
    features: Tensor = video(pixels[:, None])
    return features[:, 0]


def caption_loss(logits: Float[Tensor, "B B"], *, is_true: Bool[Tensor, "B B"]) -> Float[Tensor, ""]:
    """Compare stills (rows) and captions (columns), where all true pairs of a row or a column share its target.

    Truth goes one way: a caption that leaves the colour out is true of more stills than one that names it. So the
    targets of the columns are not those of the rows turned, as they are where equal labels make the pairs.
    """
    matches = is_true.float()
    return symmetric_cross_entropy(
        logits,
        of_rows=matches / matches.sum(dim=1, keepdim=True),
        of_columns=matches / matches.sum(dim=0, keepdim=True),
    )


def draw_batches(stills: Sequence[Still], *, config: PretrainConfig, seed: int) -> Iterator[StillBatch]:
    """Draw batches of twins without end, each with fresh captions; a still recurs when all have been seen.

    Raises:
        ValueError: the batch size is odd, or there are fewer stills than a batch holds.
    """
    if config.batch_size % 2:
        raise ValueError(f"batch_size is {config.batch_size}; stills come in twins, so choose an even number")
    if len(stills) < config.batch_size:
        raise ValueError(f"{len(stills)} stills are fewer than a batch of {config.batch_size}; draw more")
    rng = np.random.default_rng(seed)
    num_twins = config.batch_size // 2
    while True:
        order = rng.permutation(len(stills) // 2)
        for start in range(0, len(order) - num_twins + 1, num_twins):
            chosen = [stills[2 * pair + side] for pair in order[start : start + num_twins] for side in (0, 1)]
            facts = [still.facts for still in chosen]
            captions = [draw_caption(each, rng=rng) for each in facts]
            yield StillBatch(
                pixels=torch.from_numpy(np.stack([still.pixels for still in chosen])),
                en=tuple(caption.en for caption in captions),
                zh=tuple(caption.zh for caption in captions),
                is_true=torch.from_numpy(find_true(facts, captions)),
            )


def _minimise(
    loss_of: Callable[[StillBatch], Tensor],
    *,
    module: nn.Module,
    batches: Iterator[StillBatch],
    config: PretrainConfig,
    description: str,
) -> list[float]:
    """Take one AdamW step a batch; return the losses."""
    optimizer = build_optimizer(
        module, learning_rate=config.learning_rate, weight_decay=config.weight_decay, betas=ADAM_BETAS
    )
    factor = partial(learning_rate_factor, num_steps=config.num_steps, num_warmup_steps=config.warmup_steps)
    losses = []
    for step in track(range(config.num_steps), description=description):
        set_learning_rate(optimizer, config.learning_rate * factor(step))
        loss = loss_of(next(batches))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), config.max_gradient_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses
