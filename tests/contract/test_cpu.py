"""The class of a CPU is read from its flags."""

import platform
from pathlib import Path

import pytest

from service.contract.cpu import describe_cpu

NAME = "model name\t: A CPU @ 2 GHz\n"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse4_2 avx2", "AVX2"),
        ("avx2 avx512f", "AVX-512"),
        ("avx2 avx512f avx512_bf16", "AVX-512 with bf16"),
        ("avx2 avx512f avx512_bf16 amx_tile amx_bf16", "AMX"),
        ("sse4_2", platform.machine()),
    ],
)
def test_richest_class_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: str) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    (tmp_path / "cpuinfo").write_text(f"{NAME}flags\t\t: {flags}\n\n{NAME}flags\t\t: {flags}\n", encoding="utf-8")
    assert describe_cpu(tmp_path / "cpuinfo") == f"A CPU @ 2 GHz ({expected})"


def test_cap_of_the_engine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    (tmp_path / "cpuinfo").write_text(f"{NAME}flags : avx2 avx512f\n", encoding="utf-8")
    assert describe_cpu(tmp_path / "cpuinfo") == "A CPU @ 2 GHz (AVX-512, capped at AVX2)"


def test_system_that_does_not_tell_gives_its_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert describe_cpu(tmp_path / "none") == f"CPU ({platform.machine()})"
