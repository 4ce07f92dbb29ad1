"""From a recipe and data to the weights of a run."""
