"""Adapts frozen CLIP to video, evaluates it by the papers' protocols and exports bundles."""
