"""The pieces of a safety argument: claims, what they are argued by, and evidence, each with a status.

After the Goal Structuring Notation (GSN Community Standard, version 3): a goal is a claim here, a strategy its argument, a
solution a piece of evidence; contexts stand beside the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Of a piece of evidence or a claim, the worst last."""

    SUPPORTED = "supported"
    OPEN = "open"
    """There is evidence, and it does not tell."""
    STALE = "stale"
    """It is of another version of the product, of the driver or of the suite."""
    MISSING = "missing"
    REFUTED = "refuted"


WORST = {status: place for place, status in enumerate(Status)}
"""Status -> how grave it is."""
MARKS = {
    Status.SUPPORTED: "✓", Status.OPEN: "…", Status.STALE: "~", Status.MISSING: "?", Status.REFUTED: "✗",
}  # fmt: skip


class Nature(StrEnum):
    """What a claim is about: parts whose behaviour comes from data, from design, or both."""

    LEARNED = "learned"
    DESIGNED = "designed"
    BOTH = "learned and designed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation. what: in words; found: the figure with its interval; source: where it is from; fix: what would tell, or
    bring it, empty where nothing has to be done."""

    what: str
    found: str
    status: Status
    source: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement that its evidence and its parts have to bear out. argument: why these, together, would.

    Its status is the worst of theirs; without any it is missing.
    """

    name: str
    text: str
    nature: Nature
    argument: str = ""
    evidence: tuple[Evidence, ...] = ()
    parts: tuple[Claim, ...] = ()

    @property
    def status(self) -> Status:
        """What is to be held of it."""
        found = [*(one.status for one in self.evidence), *(part.status for part in self.parts)]
        return max(found, key=lambda status: WORST[status], default=Status.MISSING)

    def walk(self) -> Iterator[Claim]:
        """It and all below it, in the order of reading."""
        yield self
        for part in self.parts:
            yield from part.walk()


def gaps(claim: Claim) -> list[tuple[str, Evidence]]:
    """(name of the claim, evidence) of everything that does not support, the gravest first."""
    found = [(one.name, piece) for one in claim.walk() for piece in one.evidence if piece.status is not Status.SUPPORTED]
    return sorted(found, key=lambda pair: -WORST[pair[1].status])
