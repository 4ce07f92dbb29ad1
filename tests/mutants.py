"""Damaged copies of videos, seeded: what a hostile or a broken file looks like to a demuxer and a decoder.

Half of the damage falls on the first and last kilobytes, where containers keep their tables. The same seed gives the
same mutants on every machine that has the same originals.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

_TABLE_BYTES = 2048
# Most mutants are nearly whole: what is damaged all over does not get past a demuxer's first look.
_NUM_CHANGES = (1, 1, 1, 2, 3, 6)
# Lengths, counts and offsets that a parser may believe.
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0)

Change = Callable[[bytearray, Random, bytes], None]


def breed(originals: Sequence[bytes], *, seed: int) -> Iterator[bytes]:
    """Make mutants for ever, each of one original and sometimes of a part of another."""
    chance = Random(seed)
    while True:
        mutant = bytearray(chance.choice(originals))
        other = chance.choice(originals)
        for _ in range(chance.choice(_NUM_CHANGES)):
            chance.choice(CHANGES)(mutant, chance, other)
            if not mutant:
                break
        yield bytes(mutant)


def _choose_place(mutant: bytearray, chance: Random) -> int:
    size = len(mutant)
    bounds = chance.choice([(0, _TABLE_BYTES), (size - _TABLE_BYTES, size), (0, size), (0, size)])
    return min(max(chance.randint(*bounds), 0), size - 1)


def _flip_a_bit(mutant: bytearray, chance: Random, _: bytes) -> None:
    mutant[_choose_place(mutant, chance)] ^= 1 << chance.randrange(8)


def _write_a_byte(mutant: bytearray, chance: Random, _: bytes) -> None:
    mutant[_choose_place(mutant, chance)] = chance.randrange(256)


def _write_a_number(mutant: bytearray, chance: Random, _: bytes) -> None:
    place, size = _choose_place(mutant, chance), chance.choice((2, 4, 8))
    number = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    mutant[place : place + size] = number.to_bytes(size, chance.choice(("big", "little")))


def _cut_off(mutant: bytearray, chance: Random, _: bytes) -> None:
    del mutant[_choose_place(mutant, chance) + 1 :]


def _remove(mutant: bytearray, chance: Random, _: bytes) -> None:
    place = _choose_place(mutant, chance)
    del mutant[place : place + chance.randint(1, 64)]


def _repeat(mutant: bytearray, chance: Random, _: bytes) -> None:
    place = _choose_place(mutant, chance)
    mutant[place:place] = mutant[place : place + chance.randint(1, 256)]


def _fill(mutant: bytearray, chance: Random, _: bytes) -> None:
    place, size = _choose_place(mutant, chance), chance.randint(1, 64)
    mutant[place : place + size] = bytes([chance.choice((0, 0xFF))]) * size


def _mix_in(mutant: bytearray, chance: Random, other: bytes) -> None:
    place, start, size = _choose_place(mutant, chance), chance.randrange(len(other)), chance.randint(1, 512)
    mutant[place : place + size] = other[start : start + size]


CHANGES: tuple[Change, ...] = (
    *(_flip_a_bit, _write_a_byte, _write_a_number, _cut_off, _remove, _repeat, _fill, _mix_in),
    # The small changes get furthest into a parser.
    *(_flip_a_bit, _write_a_byte, _write_a_number),
)
