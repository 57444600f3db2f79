"""Tables for a terminal or a log file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

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
    """The report of an evaluation for a terminal."""
    return render_all(evaluation_tables(report))


def evaluation_tables(report: Mapping[str, object], shown: Collection[str] | None = None) -> list[Table]:
    """The report of an evaluation: a column a driver, whom it collided with, scenarios, paired differences where there are any.

    shown: figures to show, None for all.
    """
    drivers = cast(Mapping[str, Mapping[str, object]], report["drivers"])
    names = [name for name in next(iter(drivers.values())) if name not in ("rows", "collisions_with", "by_scenario")]
    names = [name for name in names if shown is None or name in shown]
    names = [name for name in names if any(found[name] is not None for found in drivers.values())]
    tables = [figure_table(f"{report['suite']}, {report['sensing']} level: value [95 % interval]", drivers, names)]
    tables.append(_by_opponent(drivers))
    tables += [_by_scenario(name, found) for name, found in drivers.items() if found["by_scenario"]]
    for name, found in cast(Mapping[str, Mapping[str, object]], report.get("differences", {})).items():
        title = f"{name} less {report['versus']}, same episodes"
        tables.append(
            figure_table(title, {"difference": found}, [figure for figure in found if shown is None or figure in shown])
        )
    return tables


def figure_table(title: str, columns: Mapping[str, Mapping[str, object]], names: Sequence[str]) -> Table:
    """A line for each of the figures called `names`, under whom or what they are of."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(escape(name), justify="right")
    for name in names:
        table.add_row(name.replace("_", " "), *(figure_cell(found[name]) for found in columns.values()))
    return table


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
        return "-" if figure is None else f"{figure:.4g}" if isinstance(figure, float) else str(figure)
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
    floor = f", floor {figure['floor']:.3g}" if "floor" in figure else ""
    return f"{figure['value']:.3g} [{low}, {high}]{floor}"


def markdown(table: Table) -> str:
    """The table for a page in Markdown, its title above it."""
    cells = [[_plain(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    lines = [f"| {' | '.join(line)} |" for line in zip(*cells, strict=True)]
    rule = "|".join("---:" if column.justify == "right" else "---" for column in table.columns)
    return "\n".join([f"**{_plain(table.title or '')}**", "", lines[0], f"|{rule}|", *lines[1:]]) + "\n"


def _plain(cell: object) -> str:
    """Text without console markup, safe in a cell."""
    return Text.from_markup(str(cell)).plain.replace("|", "\\|")


def render_all(tables: Iterable[Table]) -> str:
    """Tables one below the other, as text."""
    return "\n".join(render(table).rstrip("\n") for table in tables)


def render(table: Table) -> str:
    """The table as text, coloured only on a terminal."""
    console = Console()
    console.width = max(console.width, WIDTH_MIN) if console.is_terminal else WIDTH_OF_FILE
    with console.capture() as captured:
        console.print(table)
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())
