"""The lanes of an OpenDRIVE network while they are being built: `Strand`, a directed lane that can still be cut and joined.

Points are in driving direction, in the file's frame [m]; `s` is the road coordinate of each point, falling where traffic runs
against the reference line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scenarios.formats.opendrive_model import Network, Road
from sim.interface import Floats
from sim.roads.lane_map import LaneDraft, LaneKind, Regulation


@dataclass(slots=True, eq=False)
class Strand:
    """One directed lane. `spans`: (s from, s to, lane id) in road coordinates, s rising, of the lanes it was made from."""

    road: Road
    kind: LaneKind
    forward: bool
    spans: list[tuple[float, float, int]]
    s: Floats
    points: Floats
    half_width: Floats
    limit: Floats | None
    """Speed limit [m/s] at every point; None while unknown."""
    junction: str | None
    both_ways: bool = False
    name: str = ""
    successors: list[Strand] = field(default_factory=list)
    predecessors: list[Strand] = field(default_factory=list)
    left: Strand | None = None
    right: Strand | None = None
    opposites: list[tuple[Strand, float]] = field(default_factory=list)
    """Candidates for the lane over against this one, with the length [m] along which they are side by side."""
    regulation: Regulation = Regulation.NONE
    signal: str | None = None
    stop_s: float | None = None
    priority: bool = False
    continues: bool = False
    """The file says that a lane follows."""

    @property
    def lane_id(self) -> int:
        """Lane id where the strand starts."""
        return self.spans[0 if self.forward else -1][2]

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.road.label} lane {self.lane_id}"

    @property
    def arc(self) -> Floats:
        """(P,) distance [m] from the start along the points, in the plane."""
        steps = np.hypot(*np.diff(self.points[:, :2], axis=0).T)
        return np.concatenate(([0.0], np.cumsum(steps)))

    @property
    def length(self) -> float:
        """Length [m] in the plane."""
        return float(self.arc[-1])

    @property
    def end_heading(self) -> float:
        """Heading [rad] of the last step."""
        dx, dy = self.points[-1, :2] - self.points[-2, :2]
        return float(np.arctan2(dy, dx))

    def covers(self, s: float, lane_id: int, slack: float = 0.6) -> bool:
        """Whether lane `lane_id` at road coordinate `s` is part of this strand."""
        return any(low - slack <= s <= high + slack and lane == lane_id for low, high, lane in self.spans)

    def arc_at(self, s: float) -> float:
        """Distance [m] along the strand of road coordinate `s`, clipped to its ends."""
        arc, along = self.arc, self.s
        return float(np.interp(s, along, arc) if self.forward else np.interp(-s, -along, arc))


def join(before: Strand, after: Strand) -> None:
    """Let `after` follow `before`."""
    if after not in before.successors:
        before.successors.append(after)
        after.predecessors.append(before)


def part(before: Strand, after: Strand) -> None:
    """Undo `join`."""
    before.successors.remove(after)
    after.predecessors.remove(before)


def absorb(before: Strand, after: Strand) -> None:
    """Make `before` and its only successor one strand; `after` is dead afterwards."""
    before.s = np.concatenate((before.s, after.s[1:]))
    before.points = np.concatenate((before.points, after.points[1:]))
    before.half_width = np.concatenate((before.half_width, after.half_width[1:]))
    if before.limit is not None and after.limit is not None:
        before.limit = np.concatenate((before.limit[:-1], after.limit))
    before.spans = sorted(before.spans + after.spans)
    before.opposites += after.opposites
    before.continues = after.continues
    before.successors = after.successors
    for follower in after.successors:
        follower.predecessors[follower.predecessors.index(after)] = before


def split(strand: Strand, at: float) -> Strand:
    """Cut a strand `at` metres from its start; the part behind the cut is returned, and follows what is left of `strand`.

    A control at the end of the strand goes with the part behind. The caller cuts neighbours alike.
    """
    arc = strand.arc
    index = int(np.searchsorted(arc, at))
    # The cut becomes a point of both parts, unless one is there already.
    columns = np.column_stack((strand.s, strand.points, strand.half_width))
    here = np.array([np.interp(at, arc, column) for column in columns.T])
    front, back = np.vstack((columns[:index], here)), np.vstack((here, columns[index:]))
    if back.shape[0] > 2 and arc[index] - at < 1e-6:
        back = np.delete(back, 1, axis=0)
    limit = strand.limit
    limits = (None, None) if limit is None else _cut_limits(limit, index, front.shape[0], back.shape[0])
    s_cut = float(here[0])
    behind = Strand(
        road=strand.road, kind=strand.kind, forward=strand.forward, both_ways=strand.both_ways, junction=strand.junction,
        spans=_cut_spans(strand.spans, s_cut, above=strand.forward),
        s=back[:, 0], points=back[:, 1:4], half_width=back[:, 4], limit=limits[1],
        successors=strand.successors, opposites=list(strand.opposites), continues=strand.continues,
        regulation=strand.regulation, signal=strand.signal, priority=strand.priority,
        stop_s=None if strand.stop_s is None else max(strand.stop_s - at, 0.0),
    )  # fmt: skip
    for follower in behind.successors:
        follower.predecessors[follower.predecessors.index(strand)] = behind
    strand.s, strand.points, strand.half_width, strand.limit = front[:, 0], front[:, 1:4], front[:, 4], limits[0]
    strand.spans = _cut_spans(strand.spans, s_cut, above=not strand.forward)
    strand.regulation, strand.signal, strand.stop_s, strand.continues = Regulation.NONE, None, None, False
    strand.successors = []
    join(strand, behind)
    return behind


def _cut_limits(limit: Floats, index: int, front: int, back: int) -> tuple[Floats, Floats]:
    value = limit[max(index - 1, 0)]
    return np.append(limit[:index], value)[:front], np.concatenate(([value], limit[limit.size - back + 1 :]))


def _cut_spans(spans: list[tuple[float, float, int]], s: float, *, above: bool) -> list[tuple[float, float, int]]:
    """The spans on one side of road coordinate s."""
    if above:
        return [(max(low, s), high, lane) for low, high, lane in spans if high > s] or spans[-1:]
    return [(low, min(high, s), lane) for low, high, lane in spans if low < s] or spans[:1]


def lane_name(strand: Strand) -> str:
    """Road and lane id, and r for the way back of a lane used both ways."""
    return f"{strand.road.id}.{strand.lane_id}" + ("r" if strand.both_ways and not strand.forward else "")


def to_draft(strand: Strand, default_limit: float) -> LaneDraft:
    """The finished lane."""
    # A successor that does not exist is how a draft says that the file goes on but no lane was found.
    missing = (
        (f"{strand.name} (missing)",) if strand.continues and not strand.successors and strand.kind == LaneKind.DRIVING else ()
    )
    opposite = max(strand.opposites, key=lambda candidate: candidate[1])[0].name if strand.opposites else None
    limit = strand.limit if strand.limit is not None else np.array([default_limit])
    return LaneDraft(
        name=strand.name,
        centreline=strand.points,
        half_width=strand.half_width,
        kind=strand.kind,
        speed_limit=float(limit[0]) if np.all(limit == limit[0]) else limit,
        successors=tuple(follower.name for follower in strand.successors) + missing,
        left=strand.left.name if strand.left is not None else None,
        right=strand.right.name if strand.right is not None else None,
        opposite=opposite,
        junction=strand.junction,
        regulation=strand.regulation,
        signal=strand.signal,
        stop_s=strand.stop_s,
        road=strand.road.name or strand.road.id,
        priority_road=strand.priority,
    )


def junction_names(network: Network) -> dict[str, str]:
    """Junction id to the name people use: the file's where it is there and unique, else the id."""
    names = [junction.name for junction in network.junctions.values()]
    return {
        key: junction.name if names.count(junction.name) == 1 and junction.name else key
        for key, junction in network.junctions.items()
    }
