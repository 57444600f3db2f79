"""Tables for a terminal or a log file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.run import EpisodeResult
from eval.statistics import Rate

WIDTH_MIN = 100
"""Columns used where the terminal is narrower."""
WIDTH_OF_FILE = 200
"""Columns where there is no terminal: a log file has no edge."""


_SHOWN_BY_SCENARIO = (
    "completed", "at_fault", "collisions", "deadlocks", "offroad", "rescues", "progress", "time_s", "ego_delay_s", "max_decel",
    "jerk_violations", "interventions",
)  # fmt: skip


def episode_table(results: Sequence[EpisodeResult], title: str) -> Table:
    """One line an episode."""
    table = Table(title=title, title_justify="left")
    for heading in ("seed", "time s", "mean m/s", "collisions", "at fault", "others'", "deadlocks", "off road"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", overflow="fold")
    for result in results:
        counts = result.counts
        numbers = (counts.collisions, counts.at_fault, counts.traffic_collisions, counts.deadlocks, counts.offroad)
        verdict = "passed" if result.passed else f"{result.ending.replace('_', ' ')}: {'; '.join(result.reasons)}"
        table.add_row(str(result.seed), f"{result.time_s:.1f}", f"{result.mean_speed:.2f}", *map(str, numbers), escape(verdict))
    return table


def rate_table(rates: Mapping[str, Rate]) -> Table:
    """Share of episodes with something, and its exact interval."""
    table = Table(title="share of episodes, 95 % interval (Clopper-Pearson)", title_justify="left")
    for heading in ("", "episodes", "share", "low", "high"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, rate in rates.items():
        shares = (f"{100.0 * value:.2f} %" for value in (rate.rate, rate.low, rate.high))
        table.add_row(name.replace("_", " "), f"{rate.count} of {rate.episodes}", *shares)
    return table


def evaluation_text(report: Mapping[str, object]) -> str:
    """The report of an evaluation: a column a driver, and the paired differences where there are any."""
    drivers = cast(Mapping[str, Mapping[str, object]], report["drivers"])
    table = Table(title=f"{report['suite']}, {report['sensing']} level: value [95 % interval]", title_justify="left")
    table.add_column("")
    for name in drivers:
        table.add_column(name, justify="right")
    figures = next(iter(drivers.values()))
    for name in figures:
        if name not in ("rows", "collisions_with", "by_scenario") and any(found[name] is not None for found in drivers.values()):
            table.add_row(name.replace("_", " "), *(figure_cell(found[name]) for found in drivers.values()))
    parts = [render(table), render(_by_opponent(drivers))]
    parts += [render(_by_scenario(name, found)) for name, found in drivers.items() if found["by_scenario"]]
    for name, found in cast(Mapping[str, Mapping[str, object]], report.get("differences", {})).items():
        change = Table(title=f"{name} less {report['versus']}, same episodes", title_justify="left")
        for heading in ("", "difference"):
            change.add_column(heading, justify="right" if heading else "left")
        for figure, value in found.items():
            change.add_row(figure.replace("_", " "), figure_cell(value))
        parts.append(render(change))
    return "\n".join(part.rstrip("\n") for part in parts)


def _by_scenario(driver: str, figures: Mapping[str, object]) -> Table:
    """A driver's most important figures in each scenario of the suite."""
    table = Table(title=f"{driver} by scenario", title_justify="left")
    for heading in ("", "episodes", *(name.replace("_", " ") for name in _SHOWN_BY_SCENARIO)):
        table.add_column(heading, justify="left" if not heading else "right")
    for scenario, found in cast(Mapping[str, Mapping[str, object]], figures["by_scenario"]).items():
        table.add_row(scenario, str(found["episodes"]), *(_value(found[name]) for name in _SHOWN_BY_SCENARIO))
    return table


def _value(figure: object) -> str:
    """A figure without its interval."""
    if not isinstance(figure, Mapping):
        return "-"
    return f"{100.0 * figure['rate']:.1f} %" if "rate" in figure else f"{figure['value']:.3g}"


def _by_opponent(drivers: Mapping[str, Mapping[str, object]]) -> Table:
    """Collisions of ego with whom it met: episodes with both over episodes in which they took part."""
    table = Table(title="collisions with, over episodes with at least one such", title_justify="left")
    found = {name: cast(Mapping[str, Mapping[str, object]], figures["collisions_with"]) for name, figures in drivers.items()}
    table.add_column("")
    for name in drivers:
        table.add_column(name, justify="right")
    for other in sorted({other for counts in found.values() for other in counts}):
        cells = (
            f"{counts[other]['count']} of {counts[other]['episodes']}" if other in counts else "-" for counts in found.values()
        )
        table.add_row(escape(other), *cells)
    return table


def figure_cell(figure: object) -> str:
    """A figure of the report in a few characters."""
    if not isinstance(figure, Mapping):
        return "-" if figure is None else str(figure)
    if not {"p", "rate", "value"} & figure.keys():
        return ", ".join(f"{count} {name}" for name, count in figure.items()) or "-"
    if "p" in figure:
        points = ", ".join(f"{100.0 * figure[name]:+.2f}" for name in ("low", "high"))
        return (
            f"{100.0 * figure['value']:+.2f} points [{points}], +{figure['more']} -{figure['less']} episodes, p {figure['p']:.2g}"
        )
    if "rate" in figure:
        return f"{100.0 * figure['rate']:.2f} % [{100.0 * figure['low']:.2f}, {100.0 * figure['high']:.2f}]"
    low, high = ("" if bound is None else f"{bound:.3g}" for bound in (figure["low"], figure["high"]))
    return f"{figure['value']:.3g} [{low}, {high}]"


def render(table: Table) -> str:
    """The table as text, coloured only on a terminal."""
    console = Console()
    console.width = max(console.width, WIDTH_MIN) if console.is_terminal else WIDTH_OF_FILE
    with console.capture() as captured:
        console.print(table)
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())
