"""Damage that all readers of text are tried with: a file's mutants, by number."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

VALUE = re.compile(r"\"([^\"<>]*)\"")


def exchange(text: str, rng: random.Random, element: re.Pattern[str], nasty: Sequence[str]) -> str:
    """One random change of XML: a value becomes a nasty or another one, an element goes or becomes another one."""
    kind = rng.randrange(4)
    found = [match.span() for match in (element if kind == 3 else VALUE).finditer(text)]
    low, high = rng.choice(found)
    if kind < 3:
        new = rng.choice(nasty) if kind < 2 else text[slice(*rng.choice(found))][1:-1]
        return text[: low + 1] + new + text[high - 1 :]
    if rng.random() < 0.5:
        return text[:low] + text[high:]
    return text[:low] + text[slice(*rng.choice(found))] + text[high:]


def scaled(value: str, rng: random.Random) -> str:
    """A number by some factor; other text as it is."""
    try:
        return repr(float(value) * rng.choice((-1.0, 0.0, 1e-3, 0.5, 1.01, 10.0, 1e6)))
    except ValueError:
        return value


def damage(data: bytes, rng: random.Random) -> bytes:
    """One random change of bytes."""
    at, size = rng.randrange(len(data)), rng.choice((1, 1, 2, 8, 200))
    kind = rng.randrange(4)
    if kind == 0:
        return data[:at] + bytes(rng.randrange(256) for _ in range(size)) + data[at + size :]
    if kind == 1:
        return data[:at] + data[at + size :]
    if kind == 2:
        return data[:at] + data[at : at + size] * 2 + data[at + size :]
    return data[:at]


def mutant(number: int, originals: list[str], change: Callable[[str, random.Random], str]) -> bytes:
    """The mutant of this number, by changes of text and damage to bytes; the same in every run."""
    rng = random.Random(number)
    text = rng.choice(originals)
    if rng.random() < 0.2:
        return damage(text.encode(), rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        text = change(text, rng)
    return text.encode("utf-8", "replace")
