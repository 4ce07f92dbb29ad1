"""From a bundle to a version in a Triton model repository, and back."""
