"""What the layers of perception buy: oracle, either model alone and both, from lidar points, in several conditions.

All drivers are one stack with one speed-cap policy, on the same seeds of the same streets; only who answers for what is seen is
another.
A second table is that of faults: each fault of the sensors in turn, whether it is noticed, how soon, and what it costs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import click
from rich.table import Table

from eval.errors import ExitCode
from eval.evaluate import Request, collect
from eval.figures import differences, figures
from eval.store import Row
from eval.tables import figure_table, render_all
from sim.sensors.faults import FAULTS

LAYERS: Mapping[str, str] = {"oracle": "oracle", "rich only": "rich_only", "coarse only": "coarse_only", "layered": "joint"}
"""Name in the table -> driver."""
CONDITIONS: Mapping[str, str] = {
    "nominal": "seeing", "fog": "seeing_fog", "ring loss": "seeing_rings", "held-out objects": "seeing_held_out",
}  # fmt: skip
"""Name in the table -> suite."""
HELD_OUT = "held-out objects"
SHOWN = (
    "at_fault", "collisions", "struck_things", "completed", "mean_speed", "hard_brakes", "phantom_stops", "doubt_share",
)  # fmt: skip
SHOWN_OF_FAULTS = (
    "at_fault", "collisions", "completed", "fault_noticed", "time_to_notice_s", "hard_brakes", "mean_speed",
)  # fmt: skip
BASE, OURS = "oracle", "layered"


def layers(request: Request, *, held_out: bool, as_json: bool) -> ExitCode:
    """Drive what the store does not have yet, and report. held_out: also the column of things that nobody may tune on.

    Raises InputError as `evaluate` does.
    """
    cells: dict[str, object] = {}
    interrupted = False
    for condition, suite in CONDITIONS.items():
        if interrupted or (condition == HELD_OUT and not held_out):
            continue
        wanted = replace(request, suite=suite, drivers=tuple(LAYERS.values()), sensing="lidar", regret=False)
        rows, interrupted = collect(wanted)
        cells[condition] = column({name: rows[driver] for name, driver in LAYERS.items()})
    report = {"conditions": cells}
    click.echo(json.dumps(report) if as_json else render_all(layer_tables(report)))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def column(rows: Mapping[str, Sequence[Row]]) -> dict[str, object]:
    """One condition: each layer's figures, each less the oracle's, and the layered stack's less each other's, by episode."""
    return {
        "layers": {name: _chosen(figures(found), SHOWN, len(found)) for name, found in rows.items()},
        "less_oracle": {name: _chosen(differences(found, rows[BASE]), SHOWN) for name, found in rows.items() if name != BASE},
        "layered_less": {name: _chosen(differences(rows[OURS], found), SHOWN) for name, found in rows.items() if name != OURS},
    }


def faults(request: Request, *, as_json: bool) -> ExitCode:
    """Every fault in turn, each beginning in the midst of the drive. Raises InputError as `evaluate` does."""
    found: dict[str, object] = {}
    interrupted = False
    for kind in FAULTS:
        if interrupted:
            break
        rows, interrupted = collect(replace(request, suite=f"fault_{kind}", regret=False))
        found[kind] = {name: _chosen(figures(own), SHOWN_OF_FAULTS, len(own)) for name, own in rows.items()}
    report = {"sensing": request.sensing, "faults": found}
    click.echo(json.dumps(report) if as_json else render_all(fault_tables(report)))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def _chosen(found: Mapping[str, object], names: Sequence[str], episodes: int | None = None) -> dict[str, object]:
    chosen = {name: found.get(name) for name in names}
    return chosen if episodes is None else {"episodes": episodes} | chosen


def layer_tables(report: Mapping[str, object]) -> list[Table]:
    """Two tables a condition: the layers' figures, and what the layered stack differs by."""
    conditions = report["conditions"]
    assert isinstance(conditions, dict)
    tables = []
    for condition, found in conditions.items():
        tables.append(figure_table(condition, found["layers"], ("episodes", *SHOWN)))
        tables.append(figure_table(f"{condition}: layered less", found["layered_less"], SHOWN))
    return tables


def fault_tables(report: Mapping[str, object]) -> list[Table]:
    """A table a driver, a column a fault."""
    found = report["faults"]
    assert isinstance(found, dict)
    drivers = dict.fromkeys(name for cell in found.values() for name in cell)
    shown = ("episodes", *SHOWN_OF_FAULTS)
    return [
        figure_table(f"{name}, {report['sensing']}", {kind: cell[name] for kind, cell in found.items()}, shown)
        for name in drivers
    ]
