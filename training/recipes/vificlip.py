"""Recipes of Rasheed et al. 2023 on CLIP ViT-B/16: fine-tuning, and prompting of towers that were fine-tuned.

Every one takes AdamW with betas 0.9 and 0.98 and weight decay 1e-3 on all parameters, 5 epochs of warm-up, a cosine to
a hundredth of the learning rate, no clipping of gradients, label smoothing of 0.1, and mixup or CutMix on every batch.
``mode`` and ``fusion`` are set by ``--set``; batches are counted over all processes, and ``clips_per_pass`` fits them
into memory. Decided: pictures are normalised as the backbone's were, and the cosine starts where the warm-up ends.
"""

from dataclasses import replace

from training.config.adapters import DeepPromptConfig, FineTuningConfig
from training.config.fitting import AugmentConfig, FitConfig
from training.config.model import MEAN_SCORING, ModelConfig, Recipe
from training.recipes.motion_shapes import SHAPES_AUGMENT

TEMPLATE = "a photo of a {}."
# A prompted text is the prompts, the label and a full stop.
PROMPTED_TEMPLATE = "{}."


def vificlip_k400() -> Recipe:
    """Train on all of Kinetics-400 for zero-shot recognition of other labels."""
    return Recipe(
        name="vificlip_k400",
        model=ModelConfig(
            num_frames=32,
            supervision="english",
            template_en=TEMPLATE,
            scoring=MEAN_SCORING,
            adapters=FineTuningConfig(),
        ),
        fit=FitConfig(
            num_epochs=10,
            num_warmup_epochs=5.0,
            batch_size=256,
            clips_per_pass=4,
            learning_rate=8e-6,
            final_learning_rate_share=0.01,
            betas=(0.9, 0.98),
            adam_eps=1e-8,
            weight_decay=1e-3,
            decay_all=True,
            max_gradient_norm=None,
            label_smoothing=0.1,
            mixup_alpha=0.8,
            cutmix_alpha=1.0,
            mix_switch_probability=0.5,
        ),
        augment=AugmentConfig(
            crop_scales=(1.0, 0.875, 0.75, 0.66),
            flip_probability=0.5,
            jitter_probability=0.8,
            jitter_strengths=(0.4, 0.4, 0.2, 0.1),
            grayscale_probability=0.2,
        ),
    )


def vificlip_full() -> Recipe:
    """Train and test on the labels of one data set.

    The paper's rate and batch, which the published configs keep for ``mode=full``; for ``image`` and ``text`` those
    have a rate of 8e-6 and batches of 256.
    """
    recipe = vificlip_k400()
    fit = replace(recipe.fit, num_epochs=30, batch_size=512, learning_rate=2.2e-5)
    return replace(recipe, name="vificlip_full", model=replace(recipe.model, num_frames=16), fit=fit)


def vificlip_base_to_novel() -> Recipe:
    """Train on 16 videos of each base label; a mean over the draws of the seeds 0, 1 and 2."""
    recipe = vificlip_k400()
    fit = replace(recipe.fit, num_epochs=11, batch_size=64, learning_rate=2e-6)
    return replace(recipe, name="vificlip_base_to_novel", num_shots=16, fit=fit)


def vificlip_few_shot() -> Recipe:
    """Train on K = ``num_shots`` videos of each label, 2, 4, 8 or 16 of them in the paper."""
    recipe = vificlip_base_to_novel()
    return replace(recipe, name="vificlip_few_shot", fit=replace(recipe.fit, num_epochs=50))


def vl_bridge() -> Recipe:
    """Fine-tune both towers on videos, so that they can be prompted: the first stage of "bridge and prompt".

    The paper's is Kinetics-400. Its run is what ``--backbone`` of a prompting recipe takes.
    """
    return replace(vificlip_k400(), name="vl_bridge")


def vl_prompting_base_to_novel() -> Recipe:
    """Learn prompts on 16 videos of each base label, on bridged and then frozen towers."""
    return _prompted(
        vificlip_base_to_novel(),
        name="vl_prompting_base_to_novel",
        prompts=DeepPromptConfig(num_vision_tokens=16, num_text_tokens=16, depth=9),
        learning_rate=4e-2,
    )


def vl_prompting_few_shot() -> Recipe:
    """Learn prompts on K = ``num_shots`` videos of each label, on bridged and then frozen towers."""
    return _prompted(
        vificlip_few_shot(),
        name="vl_prompting_few_shot",
        prompts=DeepPromptConfig(num_vision_tokens=10, num_text_tokens=10, depth=12),
        learning_rate=8e-3,
    )


def vificlip_shapes() -> Recipe:
    """Fine-tune the demo's small towers on MotionShapes.

    Nothing is cropped, mirrored, recoloured or mixed: place, direction and colour are what labels speak of. Frames are
    pooled without their order, so clips are not paired with themselves played backwards.
    """
    recipe = vificlip_k400()
    return replace(
        recipe,
        name="vificlip_shapes",
        model=replace(recipe.model, num_frames=8),
        fit=replace(
            recipe.fit,
            num_epochs=16,
            num_warmup_epochs=0.5,
            batch_size=32,
            clips_per_pass=None,
            learning_rate=5e-4,
            max_gradient_norm=1.0,
            mixup_alpha=0.0,
            cutmix_alpha=0.0,
            max_cached_frames=32,
        ),
        augment=SHAPES_AUGMENT,
    )


def vl_prompting_shapes() -> Recipe:
    """Learn prompts in the two layers that both of the demo's towers have, on a run of ``vificlip_shapes``."""
    return _prompted(
        vificlip_shapes(),
        name="vl_prompting_shapes",
        prompts=DeepPromptConfig(num_vision_tokens=8, num_text_tokens=8, depth=2),
        learning_rate=1e-2,
    )


def _prompted(recipe: Recipe, *, name: str, prompts: DeepPromptConfig, learning_rate: float) -> Recipe:
    model = replace(recipe.model, template_en=PROMPTED_TEMPLATE, adapters=prompts)
    return replace(recipe, name=name, model=model, fit=replace(recipe.fit, learning_rate=learning_rate))
