"""How good the traffic is: the measurements by name, from code or `python -m eval.bench.traffic NAME`.

episodes: collisions and deadlocks at all-way stops; saturation, gaps: capacity beside the Highway Capacity Manual; drivers:
beside recorded drivers; drives: random drives on real maps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from eval.bench.routes import real_map_drives
from eval.bench.routes import report as drives_report
from eval.bench.traffic_capacity import saturation, two_way_gaps
from eval.bench.traffic_capacity import table as capacity_table
from eval.bench.traffic_episodes import four_way_episodes
from eval.bench.traffic_episodes import report as episodes_report
from eval.bench.traffic_people import recorded_drivers
from eval.bench.traffic_people import table as people_table
from eval.bench.traffic_places import MAPS
from scenarios.errors import InputError

__all__ = [
    "MEASUREMENTS",
    "Request",
    "four_way_episodes",
    "measure",
    "real_map_drives",
    "recorded_drivers",
    "saturation",
    "two_way_gaps",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to measure and how much of it. map: a name of `traffic_places.MAPS`, or None for each measurement's own choice.

    episodes: of `episodes`; worlds or seeds elsewhere (None: the default). out: folder of partial results.
    """

    map: str | None = None
    episodes: int | None = None
    first_seed: int | None = None
    out: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A measurement as plain data and as lines for people."""

    data: object
    lines: list[str]


FOUR_WAY_MAPS = ("four_way", "four_way_walks", "simple_4way", "fabriksgatan")
EPISODES = 1000


def _episodes(request: Request) -> Report:
    maps = FOUR_WAY_MAPS if request.map is None else (request.map,)
    outcomes = [four_way_episodes(name, request.episodes or EPISODES, request.first_seed or 0, request.out) for name in maps]
    return Report(
        data=[asdict(outcome) for outcome in outcomes], lines=[line for one in outcomes for line in episodes_report(one)]
    )


def _saturation(request: Request) -> Report:
    rows = saturation(request.map or "four_way", request.episodes or 16, request.first_seed or 900_000)
    return Report(data=[asdict(row) for row in rows], lines=capacity_table(rows))


def _gaps(request: Request) -> Report:
    rows = two_way_gaps(request.episodes or 16, request.first_seed or 910_000)
    return Report(data=[asdict(row) for row in rows], lines=capacity_table(rows))


def _drivers(request: Request) -> Report:
    rows = recorded_drivers(request.map or "zone_t", request.episodes or 24, request.first_seed or 920_000)
    return Report(data=[asdict(row) for row in rows], lines=people_table(rows))


def _drives(request: Request) -> Report:
    first = request.first_seed or 0
    drives = real_map_drives(None, range(first, first + (request.episodes or 20)), request.out)
    return Report(data=[asdict(drive) for drive in drives], lines=drives_report(drives))


MEASUREMENTS: Mapping[str, Callable[[Request], Report]] = {
    "episodes": _episodes,
    "saturation": _saturation,
    "gaps": _gaps,
    "drivers": _drivers,
    "drives": _drives,
}


def measure(name: str, request: Request) -> Report:
    """One measurement. InputError for an unknown name or map, or a number below 1."""
    if name not in MEASUREMENTS:
        raise InputError(f"no measurement {name!r}", fix=f"Use one of: {', '.join(MEASUREMENTS)}.")
    if request.episodes is not None and request.episodes < 1:
        raise InputError(f"--episodes must be at least 1, got {request.episodes}", fix="Leave it out for the default.")
    return MEASUREMENTS[name](request)


@click.command()
@click.argument("name", type=click.Choice(list(MEASUREMENTS)))
@click.option("--map", "map_name", type=click.Choice(list(MAPS)), help="Where to measure.  [default: the measurement's own]")
@click.option("--episodes", type=int, help="Episodes, worlds or seeds.  [default: the measurement's own]")
@click.option("--first-seed", type=int, help="First seed.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for partial results, from which an interrupted run goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def program(
    name: str, map_name: str | None, episodes: int | None, first_seed: int | None, out: Path | None, as_json: bool
) -> None:
    """Measure the traffic."""
    report = measure(name, Request(map=map_name, episodes=episodes, first_seed=first_seed, out=out))
    click.echo(json.dumps(report.data) if as_json else "\n".join(report.lines))


if __name__ == "__main__":
    program()
