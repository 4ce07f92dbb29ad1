"""How the tests of this folder ask a pool: for a good video, or for an attack of ``entries.hostile``."""

from pathlib import Path

from service.contract.views import VideoViews, ViewPlan
from service.decoding.pool import DecodePool
from tests.service.decoding.entries.hostile import PREFIX
from tests.videos import read_number


async def read(
    pool: DecodePool, path: Path, *, plan: ViewPlan | None = None, timeout_seconds: float = 30.0
) -> VideoViews:
    """Read views of a video, one of them where no plan says otherwise."""
    with path.open("rb") as file:
        return await pool.read_views(
            file.fileno(), video_id=path.name, plan=plan or ViewPlan(), timeout_seconds=timeout_seconds
        )


async def attack(pool: DecodePool, name: str, *, folder: Path, timeout_seconds: float = 30.0) -> VideoViews:
    """Have a hostile worker do what goes by a name."""
    path = folder / name.replace("/", " ")
    path.write_bytes(PREFIX + name.encode())
    return await read(pool, path, timeout_seconds=timeout_seconds)


async def is_sound(pool: DecodePool, good_video: Path) -> bool:
    """Whether a good video of twenty numbered frames is read rightly."""
    views = await read(pool, good_video)
    return [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]
