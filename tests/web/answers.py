"""Documents as the service sends them, for the page to draw."""

from typing import Any

# One grey pixel.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)

HOSTILE = '<img src=x onerror="window.wasHacked=1">'

MANIFEST: dict[str, Any] = {
    "name": "demo",
    "method": "dual_semantic",
    "backbone": "tiny",
    "sampling": {"rule": "segment_centres", "num_frames": 4, "num_local_frames": 1},
    "chinese": {"trained": True},
    "scoring": {"fusion": {"value": 0.5, "chosen": "validation"}},
    "provenance": {
        "recipe": "motion_shapes",
        "training_data": {"name": "MotionShapes"},
        "metrics": [{"name": "top-1", "value": 0.91, "protocol": "test split"}],
    },
}


def prediction(rank: int, **values: object) -> dict[str, Any]:
    return {"rank": rank, "score": 0.3, "similarity_en": 0.3124, "similarity_zh": 0.3019, **values}


def recognition(**values: object) -> dict[str, Any]:
    """An answer with three labels and four frames; keyword arguments replace whole members."""
    answer = {
        "request_id": "r-1",
        "bundle": {"name": "demo", "digest": "0" * 64},
        "fusion": {"lambda": 0.5, "languages": ["en", "zh"], "tau": 0.01},
        "predictions": [
            prediction(
                1, label={"en": "moving left", "zh": "向左移动"}, probability=0.93, frame_weights=[0.1, 0.2, 0.3, 0.4]
            ),
            prediction(2, label={"en": HOSTILE, "zh": None}, probability=0.0699, frame_weights=[0.7, 0.1, 0.1, 0.1]),
            prediction(
                3, label={"en": None, "zh": "跳"}, probability=0.0001, similarity_en=None, frame_weights=[0.25] * 4
            ),
        ],
        "video": {
            "video_id": "0" * 64,
            "duration_seconds": 1.6,
            "num_frames": 40,
            "width": 96,
            "height": 96,
            "codec": "h264",
        },
        "frames": [
            {"index": 5 + 10 * i, "time_seconds": 0.2 + 0.4 * i, "weight": (i + 1) / 10, "thumbnail": PICTURE}
            for i in range(4)
        ],
        "cache": {"video": "miss", "labels": {"hits": 3, "misses": 0}},
        "timings_ms": {"upload": 2.0, "decode": 31.0, "encode": 262.0, "labels": 1.1, "score": 0.4, "total": 297.0},
        "warnings": [],
    }
    return answer | values


def problem(status: int, **values: object) -> dict[str, Any]:
    return {"type": "about:blank", "title": "Refused", "status": status, "detail": "", "request_id": "r-2", **values}
