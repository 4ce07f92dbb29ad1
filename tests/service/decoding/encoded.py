"""Small clips of every container and codec that this build of FFmpeg can write."""

from pathlib import Path

from tests.videos import Encoding, write_numbered_video

ENCODINGS = {
    "h264.mp4": Encoding(),
    "h264.mkv": Encoding(),
    "h264.flv": Encoding(),
    "h264.ts": Encoding(),
    "hevc.mp4": Encoding("libx265", {"x265-params": "log-level=none"}),
    "vp8.webm": Encoding("libvpx"),
    "vp9.webm": Encoding("libvpx-vp9", {"cpu-used": "8"}),
    "av1.mp4": Encoding("libsvtav1", {"preset": "12"}),
    "mpeg4.avi": Encoding("mpeg4"),
    "mjpeg.avi": Encoding("mjpeg", pixel_format="yuvj420p"),
    "gif.gif": Encoding("gif", pixel_format="rgb8"),
    "prores.mov": Encoding("prores_ks", pixel_format="yuv422p10le"),
    "mpeg1.mpg": Encoding("mpeg1video"),
    "mpeg2.ts": Encoding("mpeg2video"),
    "flv1.flv": Encoding("flv"),
    "h263.3gp": Encoding("h263", size=(176, 144)),
}


def write_encoded(folder: Path, name: str) -> Path:
    """Write twenty numbered frames under the name of an encoding."""
    return write_numbered_video(folder / name, num_frames=20, encoding=ENCODINGS[name])
