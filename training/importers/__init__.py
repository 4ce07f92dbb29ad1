"""Readers of released checkpoints, a module for each family; nothing in a file is executed or silently left out."""
