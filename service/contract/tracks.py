"""What a container's header says of itself and of its video tracks."""

from dataclasses import dataclass

from service.contract.pictures import UNCROPPED, Crop


@dataclass(frozen=True)
class VideoTrack:
    """One video track: the edges of its pictures that are not shown, and whether its packets are encrypted."""

    crop: Crop = UNCROPPED
    is_encrypted: bool = False


@dataclass(frozen=True)
class ContainerHeader:
    """What the container's bytes say; None where they say nothing.

    Attributes:
        is_cut_off: whether bytes are missing at the end.
        duration_seconds: how long the longest track lasts.
        video_tracks: the video tracks in their order, where tracks are listed.
        is_picture: whether the file holds a picture and no track.
        num_usable_bytes: how many bytes from the start on can be read, where what follows would spoil them.
        last_video_pids: packet identifiers of the video streams that a transport stream ends with.
    """

    is_cut_off: bool | None = None
    duration_seconds: float | None = None
    video_tracks: tuple[VideoTrack, ...] = ()
    is_picture: bool = False
    num_usable_bytes: int | None = None
    last_video_pids: frozenset[int] = frozenset()
