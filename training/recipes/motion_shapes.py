"""What all recipes of the demo world MotionShapes share."""

from training.config.fitting import AugmentConfig

# Nothing is cropped, mirrored, greyed or recoloured: place, direction and colour are what labels speak of.
SHAPES_AUGMENT = AugmentConfig(
    crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), flip_probability=0.0, grayscale_probability=0.0
)
