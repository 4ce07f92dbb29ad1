"""When each frame of a video is shown: time stamps of its packets and frames, or its rate where they do not tell."""

from fractions import Fraction

import numpy as np
from jaxtyping import Float64, Int64

from service.contract.containers import OpenVideo
from service.contract.packets import NO_TIME

# When each frame is shown, and how long all of them last, in seconds.
Clock = tuple[Float64[np.ndarray, " frames"], float]
DEFAULT_FRAME_RATE = Fraction(25)
# Formats, by FFmpeg's names, that store when a packet is decoded alone.
WITHOUT_SHOWN_TIMES = ("avi", "asf")


def read_clock(times: list[int | None], decode_times: Int64[np.ndarray, " packets"], video: OpenVideo) -> Clock:
    """Turn time stamps into seconds after the first frame, and the duration, the last frame included.

    Where time stamps of presentation are missing or do not rise, those of decoding count if each packet is one frame:
    in order, frames are shown as they are decoded. AVI and ASF have no others; what FFmpeg gives is a guess.
    Failing both, frames are spaced by the stream's rate.
    """
    stream = video.stream
    rate = stream.average_rate
    interval_seconds = float(1 / (rate if rate and rate > 0 else DEFAULT_FRAME_RATE))
    shown = np.array([NO_TIME if time is None else time for time in times], dtype=np.int64)
    known = (decode_times, shown) if video.container.format.name in WITHOUT_SHOWN_TIMES else (shown, decode_times)
    stamps = next((each for each in known if len(each) == len(times) and _rises(each)), None)
    if stamps is None or stream.time_base is None:
        return np.arange(len(times)) * interval_seconds, len(times) * interval_seconds
    seconds = (stamps - stamps[0]) * float(stream.time_base)
    if len(times) > 1:
        interval_seconds = float(np.median(np.diff(stamps)) * stream.time_base)
    return seconds, float(seconds[-1]) + interval_seconds


def _rises(stamps: Int64[np.ndarray, " N"]) -> bool:
    """Whether time stamps are known and each is later than the one before."""
    return bool(stamps[0] != NO_TIME and (stamps[1:] > stamps[:-1]).all())
