"""Lanelet2 files as text, in small parts, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

Line = Sequence[tuple[float, float]]


def tags(**values: object) -> str:
    return "".join(f'<tag k="{key.replace("__", ":")}" v="{value}"/>' for key, value in values.items())


class Osm:
    """A file in the making: every line gets nodes of its own, except that equal places share one."""

    def __init__(self, *, local: bool = True) -> None:
        self.local = local
        self.nodes: dict[tuple[float, float], int] = {}
        self.parts: list[str] = []
        self.last = 1000

    def node(self, place: tuple[float, float]) -> int:
        key = round(place[0], 4), round(place[1], 4)
        return self.nodes.setdefault(key, len(self.nodes) + 1)

    def number(self) -> int:
        self.last += 1
        return self.last

    def way(self, line: Line, **values: object) -> int:
        number = self.number()
        inside = "".join(f'<nd ref="{self.node(place)}"/>' for place in line)
        self.parts.append(f'<way id="{number}">{inside}{tags(**values)}</way>')
        return number

    def relation(self, members: Sequence[tuple[str, str, int]], **values: object) -> int:
        number = self.number()
        inside = "".join(f'<member type="{kind}" role="{role}" ref="{ref}"/>' for kind, role, ref in members)
        self.parts.append(f'<relation id="{number}">{inside}{tags(**values)}</relation>')
        return number

    def lanelet(self, left: int, right: int, *rules: int, **values: object) -> int:
        members = [("way", "left", left), ("way", "right", right), *(("relation", "regulatory_element", rule) for rule in rules)]
        return self.relation(members, **({"type": "lanelet", "subtype": "road", "location": "urban"} | values))

    def rule(self, subtype: str, members: Sequence[tuple[str, str, int]], **values: object) -> int:
        return self.relation(members, **({"type": "regulatory_element", "subtype": subtype} | values))

    def text(self, head: str = "") -> str:
        nodes = "".join(self._node(number, place) for place, number in self.nodes.items())
        return f'<?xml version="1.0"?>\n<osm version="0.6">\n{head}{nodes}\n' + "\n".join(self.parts) + "\n</osm>\n"

    def _node(self, number: int, place: tuple[float, float]) -> str:
        x, y = place
        if self.local:
            return f'<node id="{number}" lat="0" lon="0">{tags(local_x=x, local_y=y)}</node>'
        return f'<node id="{number}" lat="{49.0 + y / 111_200.0!r}" lon="{8.4 + x / 73_000.0!r}"/>'


def straight(
    file: Osm, a: tuple[float, float], b: tuple[float, float], *rules: int, width: float = 3.5,
    values: Mapping[str, object] | None = None, **more: object,
) -> int:  # fmt: skip
    """A lanelet from a to b with solid lines."""
    length = ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5
    across = -(b[1] - a[1]) / length * 0.5 * width, (b[0] - a[0]) / length * 0.5 * width
    bounds = [
        file.way([(x + side * across[0], y + side * across[1]) for x, y in (a, b)], type="line_thin", subtype="solid")
        for side in (1, -1)
    ]
    return file.lanelet(bounds[0], bounds[1], *rules, **{**(values or {}), **more})


def crossroads(first: Mapping[str, object] | None = None) -> tuple[Osm, dict[str, int]]:
    """Two one-way roads that cross at the origin, from west and from south; lanelets by name: w0 w1 w2, s0 s1 s2. first: tags of
    w0."""
    file = Osm()
    found: dict[str, int] = {}
    for key, (dx, dy) in {"w": (1, 0), "s": (0, 1)}.items():
        places = [(-60 * dx, -60 * dy), (-8 * dx, -8 * dy), (8 * dx, 8 * dy), (80 * dx, 80 * dy)]
        for k, (a, b) in enumerate(pairwise(places)):
            found[f"{key}{k}"] = straight(file, a, b, values=first if key == "w" and k == 0 else None)
    return file, found
