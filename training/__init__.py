"""Adapts frozen CLIP to video, evaluates it by the papers' protocols and exports bundles."""

# Also for what it does to OpenVINO, before anything here imports that.
import service as service
