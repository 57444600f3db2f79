"""CommonRoad files as text, in small parts, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Line = Sequence[tuple[float, float]]


def point(x: float, y: float) -> str:
    return f"<point><x>{x}</x><y>{y}</y></point>"


def lanelet(
    number: int, start: tuple[float, float], end: tuple[float, float], *, width: float = 3.5, inside: str = "", knots: int = 11
) -> str:
    """A straight lanelet from start to end."""
    (x0, y0), (x1, y1) = start, end
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    across = -(y1 - y0) / length * 0.5 * width, (x1 - x0) / length * 0.5 * width
    along = [(x0 + k / (knots - 1) * (x1 - x0), y0 + k / (knots - 1) * (y1 - y0)) for k in range(knots)]
    left = "".join(point(x + across[0], y + across[1]) for x, y in along)
    right = "".join(point(x - across[0], y - across[1]) for x, y in along)
    return f'<lanelet id="{number}"><leftBound>{left}</leftBound><rightBound>{right}</rightBound>{inside}</lanelet>'


def refs(**tags: int | Iterable[int]) -> str:
    """References by tag: one id or several."""
    return "".join(f'<{tag} ref="{one}"/>' for tag, ids in tags.items() for one in ([ids] if isinstance(ids, int) else ids))


def exact(tag: str, value: float) -> str:
    return f"<{tag}><exact>{value}</exact></{tag}>"


def state(tag: str, step: int, x: float, y: float, heading: float | None = 0.0, speed: float | None = 10.0) -> str:
    inside = f"<position>{point(x, y)}</position>{exact('time', step)}"
    inside += "" if heading is None else exact("orientation", heading)
    return f"<{tag}>{inside}{'' if speed is None else exact('velocity', speed)}</{tag}>"


RECTANGLE = "<rectangle><length>4.5</length><width>1.8</width></rectangle>"


def dynamic(
    number: int, rows: Sequence[tuple[int, float, float, float, float]], kind: str = "car", shape: str = RECTANGLE
) -> str:
    """A road user with rows of step, x, y, heading, speed (2020a)."""
    first, later = state("initialState", *rows[0]), "".join(state("state", *row) for row in rows[1:])
    trajectory = f"<trajectory>{later}</trajectory>" if later else ""
    return f'<dynamicObstacle id="{number}"><type>{kind}</type><shape>{shape}</shape>{first}{trajectory}</dynamicObstacle>'


def static(number: int, x: float, y: float, kind: str = "parkedVehicle", shape: str = RECTANGLE) -> str:
    first = state("initialState", 0, x, y, 0.0, None)
    return f'<staticObstacle id="{number}"><type>{kind}</type><shape>{shape}</shape>{first}</staticObstacle>'


def problem(number: int, start: str, *, position: str = "", steps: tuple[int, int] = (0, 100), inside: str = "") -> str:
    where = f"<position>{position}</position>" if position else ""
    time = f"<time><intervalStart>{steps[0]}</intervalStart><intervalEnd>{steps[1]}</intervalEnd></time>"
    return f'<planningProblem id="{number}">{start}<goalState>{where}{time}{inside}</goalState></planningProblem>'


def document(*parts: str, version: str = "2020a", name: str = "ZAM_Test-1_1_T-1", step: float = 0.1) -> str:
    head = f'<commonRoad commonRoadVersion="{version}" benchmarkID="{name}" timeStepSize="{step}">'
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{head}\n" + "\n".join(parts) + "\n</commonRoad>\n"


def crossroads(*more: str, signs: str = "", west: str = "") -> str:
    """Two roads of one lane each that cross at the origin: west (1 2 3) and south (4 5 6); `west` goes inside lanelet 1."""
    return document(
        lanelet(1, (-80.0, 0.0), (-8.0, 0.0), inside=refs(successor=2) + "<laneletType>urban</laneletType>" + west),
        lanelet(2, (-8.0, 0.0), (8.0, 0.0), inside=refs(predecessor=1, successor=3)),
        lanelet(3, (8.0, 0.0), (120.0, 0.0), inside=refs(predecessor=2)),
        lanelet(4, (0.0, -80.0), (0.0, -8.0), inside=refs(successor=5)),
        lanelet(5, (0.0, -8.0), (0.0, 8.0), inside=refs(predecessor=4, successor=6)),
        lanelet(6, (0.0, 8.0), (0.0, 80.0), inside=refs(predecessor=5)),
        signs,
        *more,
    )


def sign(number: int, code: str, value: str = "") -> str:
    more = f"<additionalValue>{value}</additionalValue>" if value else ""
    return (
        f'<trafficSign id="{number}"><trafficSignElement><trafficSignID>{code}</trafficSignID>{more}</trafficSignElement>'
        "</trafficSign>"
    )


def light(number: int, phases: Sequence[tuple[int, str]], offset: int = 0, direction: str = "all") -> str:
    cycle = "".join(f"<cycleElement><duration>{n}</duration><color>{c}</color></cycleElement>" for n, c in phases)
    return (
        f'<trafficLight id="{number}"><cycle>{cycle}<timeOffset>{offset}</timeOffset></cycle>'
        f"<direction>{direction}</direction><active>true</active></trafficLight>"
    )
