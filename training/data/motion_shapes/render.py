"""Drawing of scenes: antialiased frames from signed distances, and H.264 files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from service.contract.rendering import write_h264
from training.data.motion_shapes.exact import cosine, length, sine
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
    canvas: Canvas = np.broadcast_to(background.base.astype(np.float32), (*grid.x.shape, 3)).copy()
    phases = 2 * np.pi * (background.phase + background.drift * time)
    # Wave by wave, since a product of matrices adds in an order of its own on each class of CPU.
    for frequency, phase, amplitude in zip(background.frequency, phases, background.amplitude, strict=True):
        canvas += _plane_wave(frequency, phase, grid=grid)[..., None] * amplitude.astype(np.float32)
    return canvas


def local_points(pose: Pose, *, grid: PixelGrid) -> tuple[Coordinates, Coordinates]:
    """Return the pixel centres in the frame of a posed shape, whose radius is 1."""
    across, along = np.float32(cosine(pose.angle) / pose.radius), np.float32(sine(pose.angle) / pose.radius)
    x, y = grid.x - np.float32(pose.x), grid.y - np.float32(pose.y)
    return x * across + y * along, y * across - x * along


def cover(distance: Coordinates, *, pose: Pose, grid: PixelGrid) -> Coordinates:
    """Return how much of each pixel lies inside a distance of 0, from a distance in radii of the pose."""
    return np.clip(0.5 - distance * np.float32(pose.radius * grid.pixels_per_unit), 0, 1)


def paint_shape(canvas: Canvas, shape: Shape, colour: Colour, *, pose: Pose, grid: PixelGrid) -> None:
    """Paint a shape and, towards its top, the dark round mark that shows how it is turned."""
    x, y = local_points(pose, grid=grid)
    rgb = np.array(colour.rgb, dtype=np.float32)

    opacity = np.float32(pose.opacity)
    paint(canvas, rgb, cover(shape.outline(x, y), pose=pose, grid=grid) * opacity)
    mark_distance = length(x, y + MARK_DISTANCE) - MARK_RADIUS
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
    """Render a scene to an H.264 MP4 file, the same bytes on every CPU, which appears only when it is complete."""
    frames = render_frames(
        scene, num_frames=video_format.num_frames, width=video_format.width, height=video_format.height
    )
    quality = {"crf": str(video_format.crf), "preset": "veryfast"}
    write_h264(path, frames, frame_rate=video_format.frame_rate, options=quality)


def _plane_wave(frequency: Float[np.ndarray, " 2"], phase: float, *, grid: PixelGrid) -> Coordinates:
    """Return the sine of a phase that grows along x and y, from those of a row and a column by the addition rule."""
    across = 2 * np.pi * frequency[0] * grid.x[:1] + phase
    down = 2 * np.pi * frequency[1] * grid.y[:, :1]
    wave = sine(across) * cosine(down) + cosine(across) * sine(down)
    return np.asarray(wave, dtype=np.float32)
