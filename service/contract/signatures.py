"""What a file is that is no accepted container, by its first bytes, and what to send in its place."""

import re
from dataclasses import dataclass

SIGNATURE_BYTES = 4096

_STILL = "send the video, not a picture"
_RAW = "it has no container and so no times; put it into one, as `ffmpeg -i FILE -c copy video.mp4` does"
_SOUND = "it holds sound alone; send a video"


@dataclass(frozen=True)
class _Kind:
    """A kind of file: how its bytes begin, what it is called and what to do."""

    pattern: re.Pattern[bytes]
    name: str
    remedy: str


def _kind(pattern: bytes, name: str, remedy: str) -> _Kind:
    return _Kind(re.compile(pattern, re.DOTALL), name, remedy)


# In the order in which they are tried: short signatures last.
_KINDS = (
    _kind(rb"....ftyp(?:heic|heix|heim|heis|hevc|hevx|mif1|msf1)", "a HEIC picture", _STILL),
    _kind(rb"....ftypavi[fs]", "an AVIF picture", _STILL),
    _kind(rb"....ftypcrx ", "a CR3 raw picture", _STILL),
    _kind(rb"\x89PNG\r\n\x1a\n", "a PNG picture", _STILL),
    _kind(rb"RIFF....WEBP", "a WebP picture", _STILL),
    _kind(rb"(?:II\*\x00|MM\x00\*)", "a TIFF or raw picture", _STILL),
    _kind(rb"(?:\x00\x00\x00\x0cJXL |\xff\x0a)", "a JPEG XL picture", _STILL),
    _kind(rb"\xff\xd8\xff", "a JPEG picture", f"{_STILL}; of a motion photo, its video part"),
    _kind(rb"BM.{4}\x00\x00\x00\x00", "a BMP picture", _STILL),
    _kind(rb"DKIF", "an IVF file of raw VP8, VP9 or AV1", _RAW),
    _kind(rb"\x00{2,3}\x01(?:\x09.|[\x27\x47\x67][\x42\x4d\x53\x58\x64\x6e\x7a\xf4\x2c])", "a raw H.264 stream", _RAW),
    _kind(rb"\x00{2,3}\x01(?:\x46\x01|[\x40\x42\x44]\x01)", "a raw HEVC stream", _RAW),
    _kind(rb"\x12\x00\x0a", "a raw AV1 stream", _RAW),
    _kind(rb"\x00\x00\x01\xb3", "a raw MPEG-1 or MPEG-2 video stream", _RAW),
    _kind(rb"\x00\x00\x01[\xb0\xb5\x00]", "a raw MPEG-4 video stream", _RAW),
    _kind(rb"YUV4MPEG2 ", "raw pictures (YUV4MPEG2)", "encode them, as `ffmpeg -i FILE video.mp4` does"),
    _kind(rb"\.RMF", "a RealMedia file", "convert it, as `ffmpeg -i FILE video.mp4` does"),
    _kind(rb"\x06\x0e\x2b\x34", "an MXF file", "convert it, as `ffmpeg -i FILE video.mp4` does"),
    _kind(rb"#EXTM3U", "an HLS playlist, which holds no video itself", "send the video that it leads to"),
    _kind(rb"(?:\xef\xbb\xbf)?\s*<\?xml.{0,400}<MPD|\s*<MPD", "a DASH manifest, which holds no video itself",
          "send the video that it leads to"),
    _kind(rb"(?:ID3|\xff[\xfb\xf3\xf2\xfa])", "an MP3 file", _SOUND),
    _kind(rb"\xff[\xf1\xf9]", "an AAC file", _SOUND),
    _kind(rb"RIFF....WAVE", "a WAV file", _SOUND),
    _kind(rb"fLaC", "a FLAC file", _SOUND),
    _kind(rb"PK\x03\x04", "a ZIP archive", "unpack it and send the video inside"),
    _kind(rb"%PDF-", "a PDF document", "send a video"),
    _kind(rb"\s*<(?:!doctype )?html", "an HTML page", "send the video itself, not the page that shows it"),
)  # fmt: skip


def name_content(head: bytes) -> str | None:
    """Say in a sentence what a file that begins so is, and what to do; None where that is not known."""
    for kind in _KINDS:
        if kind.pattern.match(head):
            return f"the bytes are not a readable video but {kind.name}; {kind.remedy}"
    return None
