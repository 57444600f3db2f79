"""The stack's reasons as whole sentences, for those who do not name whom they are about."""

from __future__ import annotations

from collections.abc import Mapping

from avstack.behaviours.decision import REASONS


def _whole(said: str) -> str:
    """A reason with an end: the stack's own stop where the other's name would follow."""
    open_end = said.endswith((" by", " to", " for", " before", "follows", "passes"))
    return f"{said} another" if open_end else said.removesuffix(":")


REASON_WORDS: Mapping[int, str] = {int(reason): _whole(said) for reason, said in REASONS.items()}
"""By the number that is traced as `reason`."""
