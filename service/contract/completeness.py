"""Whether a file holds all of the video that it says it holds, and what is missing.

MP4 lists every packet. Of other containers the length in bytes decides, where it is known: their durations and counts
of frames may be those of another track, count frames that were left out, or stand for what was never filled in.
"""

import re

from service.contract.containers import OpenVideo

# How much earlier than promised a stream may end where nobody knows whether bytes are missing.
TOLERANCE_SECONDS = 1.0
_DEFAULT_INTERVAL_SECONDS = 0.04


def find_missing_part(video: OpenVideo, *, num_packets: int, end_seconds: float) -> str | None:
    """Say in a sentence what is missing of a video of which so many packets came, until a time; None if nothing is."""
    if "mp4" in video.container.format.name and (missing := _missing_packets(video, num_packets)):
        return missing
    if video.header.is_cut_off is not False and (missing := _missing_seconds(video, end_seconds)):
        return missing
    return _unread_stream(video)


def _missing_packets(video: OpenVideo, num_packets: int) -> str | None:
    num_promised = len(video.stream.index_entries)
    if num_packets >= num_promised:
        return None
    return f"the file is cut off: {num_packets} of {num_promised} frames are present"


def _missing_seconds(video: OpenVideo, end_seconds: float) -> str | None:
    header, promised_seconds = video.header, _promised_seconds(video)
    if promised_seconds is None:
        return "the file is cut off: its end is missing" if header.is_cut_off else None
    # What lacks its last bytes may lack no more than its table of contents.
    tolerance_seconds = _interval_seconds(video) if header.is_cut_off else TOLERANCE_SECONDS
    if end_seconds + tolerance_seconds >= promised_seconds:
        return None
    return f"the file is cut off: it ends at {end_seconds:.2f} of {promised_seconds:.2f} seconds"


def _promised_seconds(video: OpenVideo) -> float | None:
    """How long the stream lasts by its own tag, else by the container where no other track can be meant."""
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", video.stream.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    if video.header.duration_seconds and (video.header.is_cut_off or len(video.container.streams) == 1):
        return video.header.duration_seconds
    if video.header.is_cut_off and video.container.format.name == "avi":
        return video.stream.frames * _interval_seconds(video)
    return None


def _interval_seconds(video: OpenVideo) -> float:
    rate = video.stream.average_rate
    return float(1 / rate) if rate else _DEFAULT_INTERVAL_SECONDS


def _unread_stream(video: OpenVideo) -> str | None:
    """Find the video stream with which a joined transport stream goes on after the one that is read."""
    last_pids = video.header.last_video_pids
    if not last_pids or video.stream.id in last_pids:
        return None
    return (
        f"the transport stream goes on with another video stream (PID {min(last_pids)}), which is not read; send the "
        "parts of a joined transport stream one by one"
    )
