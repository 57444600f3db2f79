"""Small OpenDRIVE files as text, put together by the tests."""

from __future__ import annotations

from collections.abc import Sequence

LINE = "<line/>"


def geometry(
    length: float = 100.0, *, shape: str = LINE, s: float = 0.0, x: float = 0.0, y: float = 0.0, hdg: float = 0.0
) -> str:
    return f'<geometry s="{s}" x="{x}" y="{y}" hdg="{hdg}" length="{length}">{shape}</geometry>'


def lane(
    lane_id: int, *, kind: str = "driving", width: float = 3.5, link: str = "", inside: str | None = None, extra: str = ""
) -> str:
    borders = inside if inside is not None else f'<width sOffset="0" a="{width}" b="0" c="0" d="0"/>'
    return f'<lane id="{lane_id}" type="{kind}" {extra}><link>{link}</link>{borders}</lane>'


def follow(*, before: int | None = None, after: int | None = None) -> str:
    """Lane links."""
    text = "" if before is None else f'<predecessor id="{before}"/>'
    return text + ("" if after is None else f'<successor id="{after}"/>')


def section(right: Sequence[str] = (), left: Sequence[str] = (), *, s: float = 0.0, extra: str = "") -> str:
    sides = "<center><lane id='0' type='none'/></center>"
    sides += f"<left>{''.join(left)}</left>" if left else ""
    sides += f"<right>{''.join(right)}</right>" if right else ""
    return f'<laneSection s="{s}" {extra}>{sides}</laneSection>'


def road(
    road_id: str,
    *,
    length: float = 100.0,
    plan: str | None = None,
    sections: Sequence[str] | None = None,
    link: str = "",
    junction: str = "-1",
    types: str = '<type s="0" type="town"/>',
    lanes: str = "",
    elevation: str = "",
    objects: str = "",
    signals: str = "",
    rule: str = "RHT",
    name: str = "",
    lateral: str = "",
) -> str:
    sections = [section([lane(-1)])] if sections is None else sections
    return f"""<road id="{road_id}" name="{name}" length="{length}" junction="{junction}" rule="{rule}">
<link>{link}</link>{types}
<planView>{geometry(length) if plan is None else plan}</planView>
<elevationProfile>{elevation}</elevationProfile><lateralProfile>{lateral}</lateralProfile>
<lanes>{lanes}{"".join(sections)}</lanes>
<objects>{objects}</objects><signals>{signals}</signals>
</road>"""


def to_road(tag: str, target: str, contact: str) -> str:
    return f'<{tag} elementType="road" elementId="{target}" contactPoint="{contact}"/>'


def to_junction(tag: str, target: str) -> str:
    return f'<{tag} elementType="junction" elementId="{target}"/>'


def document(*parts: str, major: int = 1, minor: int = 7) -> str:
    body = "\n".join(parts)
    return f'<?xml version="1.0"?>\n<OpenDRIVE><header revMajor="{major}" revMinor="{minor}"/>\n{body}\n</OpenDRIVE>'


def signal(
    kind: str,
    *,
    s: float,
    t: float = -4.0,
    signal_id: str = "1",
    orientation: str = "+",
    extra: str = "",
    inside: str = "",
) -> str:
    return f'<signal id="{signal_id}" s="{s}" t="{t}" orientation="{orientation}" type="{kind}" {extra}>{inside}</signal>'


ARM_LENGTH = 80.0
HALF = 12.0


def crossroads(
    signals: dict[int, str] | None = None, *, extra: str = "", controllers: str = "", objects: dict[int, str] | None = None
) -> str:
    """Four two-way arms (roads 0 to 3: east, north, west, south, towards the middle) and straight connecting roads 10 to 13."""
    parts = []
    for arm, (x, y, hdg) in enumerate(
        ((1, 0, 3.141592653589793), (0, 1, -1.5707963267948966), (-1, 0, 0.0), (0, -1, 1.5707963267948966))
    ):
        start = HALF + ARM_LENGTH
        parts.append(
            road(
                str(arm),
                name=("east", "north", "west", "south")[arm],
                length=ARM_LENGTH,
                plan=geometry(ARM_LENGTH, x=x * start, y=y * start, hdg=hdg),
                sections=[section([lane(-1)], [lane(1)])],
                link=to_junction("successor", "9"),
                signals=(signals or {}).get(arm, ""),
                objects=(objects or {}).get(arm, ""),
            )
        )
        parts.append(
            road(
                str(10 + arm),
                length=2 * HALF,
                plan=geometry(2 * HALF, x=x * HALF, y=y * HALF, hdg=hdg),
                sections=[section([lane(-1, link=follow(before=-1, after=1))])],
                link=to_road("predecessor", str(arm), "end") + to_road("successor", str((arm + 2) % 4), "end"),
                junction="9",
                types="",
            )
        )
    link = '<laneLink from="-1" to="-1"/>'
    connections = "".join(
        f'<connection id="{arm}" incomingRoad="{arm}" connectingRoad="{10 + arm}" contactPoint="start">{link}</connection>'
        for arm in range(4)
    )
    junction = f'<junction id="9" name="middle">{connections}{extra}</junction>'
    return document(*parts, controllers, junction)
