"""From a trained model to a bundle, and the proof that the bundle is the same model."""
