"""The use case, free of frameworks: from a stored video and labels to a ranked answer."""
