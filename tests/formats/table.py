"""Every way in which a video of accepted container and codec can be stored, as far as an FFmpeg may write it."""

from dataclasses import dataclass, field

from service.contract.tone_mapping import Transfer

X265_QUIET = {"x265-params": "log-level=none"}
FAST_AV1 = {"preset": "12", "crf": "25", "svtav1-params": "keyint=20"}
GOOD_VPX = {"b:v": "2M", "cpu-used": "5", "deadline": "realtime"}


@dataclass(frozen=True)
class Coding:
    """How pictures are coded: the encoder, its samples and its settings, whether they are of high range.

    ``width`` is that of the picture as it is shown; all are stored in the one size that H.263 has too.
    """

    encoder: str
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    transfer: Transfer | None = None
    width: int = 176


CONTAINERS = {
    **{name: name for name in ("mp4", "mov", "3gp", "3g2", "f4v", "avi", "flv", "webm", "gif", "ogg", "asf", "vob")},
    "m4v": "ipod",
    "mkv": "matroska",
    "ts": "mpegts",
    "m2ts": "mpegts",
    "mpg": "mpeg",
    "fragmented mp4": "mp4",
}
CONTAINER_OPTIONS = {
    "m2ts": {"mpegts_m2ts_mode": "1"},
    "fragmented mp4": {"movflags": "frag_keyframe+empty_moov"},
}

# What every container is tried with.
CODECS = {
    "h264": Coding("libx264", options={"bf": "2", "g": "12"}),
    "hevc": Coding("libx265", options=X265_QUIET),
    "vp8": Coding("libvpx", options=GOOD_VPX),
    "vp9": Coding("libvpx-vp9", options=GOOD_VPX),
    "av1": Coding("libsvtav1", options=FAST_AV1),
    "mpeg4": Coding("mpeg4", options={"qscale": "3"}),
    "mpeg1video": Coding("mpeg1video", options={"qscale": "3"}),
    "mpeg2video": Coding("mpeg2video", options={"qscale": "3"}),
    "mjpeg": Coding("mjpeg", "yuvj420p", {"qscale": "3"}),
    "gif": Coding("gif", "rgb8"),
    "flv1": Coding("flv", options={"qscale": "3"}),
    # Its pixels are 12 wide and 11 high.
    "h263": Coding("h263", options={"qscale": "3"}, width=192),
    "prores": Coding("prores_ks", "yuv422p10le"),
    "theora": Coding("libtheora"),
}


def _h264(profile: str, pixel_format: str = "yuv420p", **options: str) -> Coding:
    return Coding("libx264", pixel_format, {"profile": profile, "g": "12", **options})


# Profiles and forms of coding, each in the container where it is met most.
PROFILES = {
    "h264 baseline": ("mp4", _h264("baseline")),
    "h264 main": ("mp4", _h264("main", bf="2")),
    "h264 high, interlaced": ("ts", _h264("high", **{"x264-params": "interlaced=1"})),
    "h264 high, open groups": ("mkv", _h264("high", **{"x264-params": "open-gop=1:bframes=3:keyint=8"})),
    "h264 high, intra refresh": ("mp4", _h264("high", **{"x264-params": "intra-refresh=1:keyint=10"})),
    "h264 high 10": ("mp4", _h264("high10", "yuv420p10le")),
    "h264 high 4:2:2": ("mov", _h264("high422", "yuv422p")),
    "h264 high 4:4:4": ("mp4", _h264("high444", "yuv444p")),
    "h264 lossless RGB": ("mkv", Coding("libx264rgb", "rgb24", {"crf": "0"})),
    "h264 full range": ("mp4", _h264("high", "yuvj420p")),
    "hevc main 10": ("mp4", Coding("libx265", "yuv420p10le", X265_QUIET)),
    "hevc main 4:2:2 10": ("mkv", Coding("libx265", "yuv422p10le", X265_QUIET)),
    "hevc main 4:4:4": ("mp4", Coding("libx265", "yuv444p", X265_QUIET)),
    "vp9 profile 1": ("webm", Coding("libvpx-vp9", "yuv444p", GOOD_VPX)),
    "vp9 profile 2": ("webm", Coding("libvpx-vp9", "yuv420p10le", GOOD_VPX)),
    "vp9 hidden frames": ("webm", Coding("libvpx-vp9", options={"b:v": "2M", "cpu-used": "5", "lag-in-frames": "16"})),
    "av1 10 bits": ("mkv", Coding("libsvtav1", "yuv420p10le", FAST_AV1)),
    "mpeg4 advanced simple": ("avi", Coding("mpeg4", options={"qscale": "3", "bf": "2", "flags": "+qpel"})),
    "mpeg2 4:2:2": ("ts", Coding("mpeg2video", "yuv422p", {"qscale": "3", "bf": "2"})),
    "mpeg2 interlaced": ("mpg", Coding("mpeg2video", options={"qscale": "3", "flags": "+ilme+ildct"})),
    "mjpeg 4:2:2": ("avi", Coding("mjpeg", "yuvj422p", {"qscale": "3"})),
    "prores proxy": ("mov", Coding("prores_ks", "yuv422p10le", {"profile": "0"})),
    "prores hq": ("mov", Coding("prores_ks", "yuv422p10le", {"profile": "3"})),
    "prores 4444": ("mov", Coding("prores_ks", "yuv444p10le", {"profile": "4"})),
    "hevc main 10, PQ": ("mp4", Coding("libx265", "yuv420p10le", X265_QUIET, "pq")),
    "hevc main 10, HLG": ("mp4", Coding("libx265", "yuv420p10le", X265_QUIET, "hlg")),
    "vp9 profile 2, PQ": ("webm", Coding("libvpx-vp9", "yuv420p10le", GOOD_VPX, "pq")),
    "av1 10 bits, HLG": ("mp4", Coding("libsvtav1", "yuv420p10le", FAST_AV1, "hlg")),
}

FORMATS: dict[str, tuple[str, Coding]] = {
    **{f"{codec} in {container}": (container, coding) for codec, coding in CODECS.items() for container in CONTAINERS},
    **PROFILES,
}
