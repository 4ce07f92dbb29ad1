"""Adapts frozen CLIP to video, evaluates it by the papers' protocols and exports bundles."""

# Also for what it does to the engines, before anything here imports them.
import service as service
