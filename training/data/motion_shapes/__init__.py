"""MotionShapes: a synthetic world of short videos whose actions only the order of frames can tell apart.

Modules: `shapes` (outlines), `vocabulary` (shapes, colours, actions and labels in two languages), `scene` (random
scenes), `render` (frames and video files), `dataset` (splits and the folder on disk).
"""

from training.data.motion_shapes.dataset import SplitSizes, render_motion_shapes
from training.data.motion_shapes.render import VideoFormat, render_frames, render_video
from training.data.motion_shapes.scene import Scene, draw_scene
from training.data.motion_shapes.vocabulary import ActionLabel, motion_shapes_labels

__all__ = [
    "ActionLabel",
    "Scene",
    "SplitSizes",
    "VideoFormat",
    "draw_scene",
    "motion_shapes_labels",
    "render_frames",
    "render_motion_shapes",
    "render_video",
]
