"""Drawing of scenes: antialiased frames from signed distances, and H.264 files."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8

from training.data.motion_shapes.scene import Background, Pose, Scene
from training.data.motion_shapes.shapes import Coordinates
from training.data.motion_shapes.vocabulary import Colour, Shape

Canvas = Float[np.ndarray, "H W 3"]

MARK_RADIUS = 0.24
MARK_DISTANCE = 0.6
MARK_GREY = 0.03


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """State the size and length of a rendered video; `crf` is x264's quality (smaller is better)."""

    width: int = 96
    height: int = 96
    num_frames: int = 24
    frame_rate: int = 12
    crf: int = 18


@dataclass(frozen=True)
class PixelGrid:
    """Hold pixel centres in units of the short side; the central square of the frame spans 0 to 1."""

    x: Coordinates
    y: Coordinates
    pixels_per_unit: int

    @classmethod
    def of(cls, *, width: int, height: int) -> "PixelGrid":
        """Build the grid of a frame size."""
        short = min(width, height)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
        return cls((x - (width - short) / 2) / short, (y - (height - short) / 2) / short, short)


def paint(canvas: Canvas, colour: Float[np.ndarray, " 3"] | float, coverage: Coordinates) -> None:
    """Blend one colour into a canvas, in place."""
    canvas += coverage[..., None] * (colour - canvas)


def paint_background(background: Background, *, grid: PixelGrid, time: float) -> Canvas:
    """Return a canvas with the texture at a time."""
    # Single precision throughout: half the time, and far below one grey level.
    across, down = (2 * np.pi * background.frequency).T.astype(np.float32)
    phase = (2 * np.pi * (background.phase + background.drift * time)).astype(np.float32)
    waves = np.sin(grid.x[..., None] * across + grid.y[..., None] * down + phase)
    canvas: Canvas = waves @ background.amplitude.astype(np.float32) + background.base.astype(np.float32)
    return canvas


def local_points(pose: Pose, *, grid: PixelGrid) -> tuple[Coordinates, Coordinates]:
    """Return the pixel centres in the frame of a posed shape, whose radius is 1."""
    cosine, sine = np.float32(np.cos(pose.angle) / pose.radius), np.float32(np.sin(pose.angle) / pose.radius)
    x, y = grid.x - np.float32(pose.x), grid.y - np.float32(pose.y)
    return x * cosine + y * sine, y * cosine - x * sine


def cover(distance: Coordinates, *, pose: Pose, grid: PixelGrid) -> Coordinates:
    """Return how much of each pixel lies inside a distance of 0, from a distance in radii of the pose."""
    return np.clip(0.5 - distance * np.float32(pose.radius * grid.pixels_per_unit), 0, 1)


def paint_shape(canvas: Canvas, shape: Shape, colour: Colour, *, pose: Pose, grid: PixelGrid) -> None:
    """Paint a shape and, towards its top, the dark round mark that shows how it is turned."""
    x, y = local_points(pose, grid=grid)
    rgb = np.array(colour.rgb, dtype=np.float32)

    opacity = np.float32(pose.opacity)
    paint(canvas, rgb, cover(shape.outline(x, y), pose=pose, grid=grid) * opacity)
    mark_distance = np.hypot(x, y + MARK_DISTANCE) - MARK_RADIUS
    paint(canvas, MARK_GREY, cover(mark_distance, pose=pose, grid=grid) * opacity)


def quantise(canvas: Canvas) -> UInt8[np.ndarray, "H W 3"]:
    """Round a canvas of 0 to 1 to bytes."""
    return np.clip(canvas * 255 + 0.5, 0, 255).astype(np.uint8)


def render_frames(
    scene: Scene, *, num_frames: int, width: int, height: int
) -> UInt8[np.ndarray, "num_frames height width 3"]:
    """Render the frames of a scene, the first at time 0 and the last at time 1."""
    grid = PixelGrid.of(width=width, height=height)
    frames = np.empty((num_frames, height, width, 3), dtype=np.uint8)
    for index, time in enumerate(np.linspace(0, 1, num_frames)):
        canvas = paint_background(scene.background, grid=grid, time=time)
        for motion in scene.motions:
            paint_shape(canvas, scene.shape, scene.colour, pose=motion.at(time), grid=grid)
        frames[index] = quantise(canvas)
    return frames


def render_video(scene: Scene, *, path: Path, video_format: VideoFormat) -> None:
    """Render a scene to an H.264 MP4 file, which appears under its name only when it is complete."""
    frames = render_frames(
        scene, num_frames=video_format.num_frames, width=video_format.width, height=video_format.height
    )
    unfinished = path.with_name(f".{path.name}.partial")
    with av.open(str(unfinished), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(video_format.frame_rate))
        stream.width, stream.height, stream.pix_fmt = video_format.width, video_format.height, "yuv420p"
        stream.options = {"crf": str(video_format.crf), "preset": "veryfast"}
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    unfinished.replace(path)
