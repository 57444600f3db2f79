"""Naming what the user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED_MAX = 12


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the nearest known name, or the known names where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.55)
    if near:
        return f"; did you mean {near[0]!r}?"
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return f"; known: {', '.join(names[:LISTED_MAX])}{more}" if names else ""
