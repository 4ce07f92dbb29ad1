"""Side data of decoded frames, of whatever type: what FFmpeg hands over beside the samples.

Type numbers are FFmpeg's ``AVFrameSideDataType``, which grows with each version.
"""

from collections.abc import Mapping
from typing import cast

from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame


def _name_unknown(cls: type[Type], value: object) -> Type:
    """Make a member for a type that the enumeration lacks."""
    member: Type = object.__new__(cls)
    member._name_ = f"UNKNOWN_{value}"
    member._value_ = value  # type: ignore[assignment]
    cls._value2member_map_[value] = member
    return member


# PyAV 18.1 refuses all side data of a frame that has one of the types 28 to 31, such as the EXIF of a camera's JPEG or
# the views of a stereoscopic video (PyAV #2392).
Type._missing_ = classmethod(_name_unknown)  # type: ignore[assignment,method-assign]


def read_side_data(frame: VideoFrame, *, kind: str) -> bytes | None:
    """Read a frame's side data of one kind, named as PyAV names it; None where it has none."""
    side_data = cast("Mapping[str, Buffer]", frame.side_data)  # PyAV's stubs know other keys
    return bytes(side_data[kind]) if kind in side_data else None
