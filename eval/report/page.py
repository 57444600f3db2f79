"""The page: verdict, figures with intervals, plots, worst episodes to watch. One file, nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.figures import CALIBRATIONS, MEANS, PRIVILEGED, RATES, RATIOS, figures, values
from eval.gate import Test, amount, change, fails, sentence
from eval.metrics.comfort import JERK_ALARM
from eval.metrics.foresight import calibration_error, read_bins
from eval.report.plots import histogram, reliability, trace
from eval.report.replays import Replay
from eval.runs import Arm, seeds_text
from eval.statistics import clopper_pearson
from eval.store import Row
from eval.tables import figure_cell

DISTRIBUTIONS = (
    ("ego's delay", "s", "ego_delay"), ("progress", "share", "progress"), ("least post-encroachment time", "s", "min_pet"),
    ("95 % of |jerk|", "m/s³", "jerk_95"), ("hardest braking", "m/s²", "max_decel"),
    ("belief log loss", "nats", "belief_log_loss"),
)  # fmt: skip
_HERE = Path(__file__).parent
_LISTED = (
    "ending",
    "completed",
    "collisions",
    "at_fault",
    "deadlocks",
    "rescues",
    "ego_delay",
    "min_pet",
    "jerk_95",
    "max_decel",
)
_KEYS = (
    ("space", "play or pause"), ("← →", "a tick, with shift a second"), ("+ −", "zoom, or the wheel; drag to move"),
    ("f", "follow ego"), ("e j", "percepts, joint futures"), ("0", "all of it"), ("[ ]", "slower, faster"),
    ("n p", "next, previous episode"),
)  # fmt: skip


def page(arms: Sequence[Arm], shown: Arm, replays: Sequence[Replay], gate: tuple[Sequence[Test], str] | None) -> str:
    """The whole document. arms: all drivers of the run, for the table; shown: whose episodes are looked at; gate: tests against a
    baseline and its name."""
    run = shown.run
    title = f"{shown.label} on {run.suite}"
    said = run.provenance
    facts = (
        f"{len(shown.rows)} episodes, seeds {seeds_text(run.seeds)}", f"{run.sensing} level", f"run of {run.made} UTC",
        f"commit {said['commit']}" if said.get("commit") else "", f"avstack {said.get('product', '')}",
        str(said.get("machine", "")),
    )  # fmt: skip
    rows = list(shown.rows.values())
    body = (
        f"<h1>{html.escape(title)}</h1><p class=facts>{html.escape(' · '.join(fact for fact in facts if fact))}</p>",
        _verdict(rows, gate),
        _gate_table(gate) if gate is not None else "",
        f"<h2>Worst episodes</h2>{_player(replays)}" if replays else "",
        f"<h2>Figures</h2><p class=faint>Value [95 % interval].</p>{_figures(arms)}",
        f"<h2>Distributions and calibration</h2><div class=plots>{_plots(rows)}</div>",
        _opponents(arms),
        f"<h2>Every episode</h2><div class=episodes>{_episodes(rows)}</div>",
    )
    data = ",".join(map(packed, replays))
    style, script = (_HERE.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "player.js"))
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f'<link rel=icon href="data:,"><title>{html.escape(title)}</title><style>{style}</style>{"".join(body)}'
        f'<script type="application/json" id=replays>[{data}]</script><script>{script}</script></html>'
    )


def packed(replay: Replay) -> str:
    """What the player draws of one replay, as text for a script element."""
    return json.dumps(replay.data, separators=(",", ":")).replace("</", "<\\/")


def weight(replay: Replay) -> int:
    """Bytes that a replay adds to the page."""
    return len(packed(replay).encode()) + len(_traces(0, replay).encode()) + len(_pick(replay).encode())


def _verdict(rows: Sequence[Row], gate: tuple[Sequence[Test], str] | None) -> str:
    """What to know before anything else."""
    points = []
    for column, one, many in (
        ("at_fault", "at-fault collision", "at-fault collisions"),
        ("crashed", "crash", "crashes of the driver"),
    ):
        found = clopper_pearson(sum(bool(row.get(column)) for row in rows), len(rows))
        bound = f"at most {100.0 * found.upper:.2g} % of episodes at 95 %"
        points.append(f"{found.count or 'no'} {one if found.count == 1 else many} in {len(rows)} episodes ({bound})")
    reached = clopper_pearson(sum(bool(row.get("completed")) for row in rows), len(rows))
    points.append(f"goal reached in {100.0 * reached.rate:.1f} % [{100.0 * reached.low:.1f}, {100.0 * reached.high:.1f}]")
    bad = any(row.get("at_fault") or row.get("crashed") for row in rows)
    headline = "At-fault collisions or crashes" if bad else "No at-fault collision, no crash"
    if gate is not None:
        bad = fails(gate[0])
        headline = f"Significantly worse than {gate[1]}" if bad else f"Not found worse than {gate[1]}"
        points = [
            f"{sentence(test)}; seeds {', '.join(map(str, test.seeds))}" for test in gate[0] if test.finding == "worse"
        ] + points
    items = "".join(f"<li>{html.escape(point)}</li>" for point in points)
    return f'<div class="verdict{" bad" if bad else ""}"><strong>{html.escape(headline)}</strong><ul>{items}</ul></div>'


def _gate_table(gate: tuple[Sequence[Test], str]) -> str:
    lines = [
        (
            f"{test.metric.what} [{'% of episodes' if test.metric.share else test.metric.unit}]", amount(test, test.run),
            amount(test, test.baseline), change(test), amount(test, test.metric.margin), f"{test.adjusted:.2g}",
            str(test.finding),
        )
        for test in gate[0]
    ]  # fmt: skip
    heads = ("", "run", gate[1], "worsening [95 %]", "margin", "p, Holm", "finding")
    return f"<h2>Against {html.escape(gate[1])}</h2>{_table(heads, lines, [line[-1] == 'worse' for line in lines])}"


def _figures(arms: Sequence[Arm]) -> str:
    found = [figures(list(arm.rows.values())) for arm in arms]
    names = [name for name in (*RATES, *MEANS, *RATIOS, *CALIBRATIONS) if any(one.get(name) is not None for one in found)]
    lines = [(name.replace("_", " "), *(figure_cell(one[name]) for one in found)) for name in names]
    return _table(("", *(arm.driver for arm in arms)), lines)


def _plots(rows: Sequence[Row]) -> str:
    parts = []
    for title, column in (
        ("who goes first, forecast", "belief_bins"), ("the same as ego sets off", "commitment_bins"),
        ("what is perceived exists", "existence_bins"),
    ):  # fmt: skip
        bins = read_bins([str(row[column]) for row in rows if row.get(column)])
        if len(bins):
            parts.append(reliability(f"{title} (ECE {calibration_error(bins):.3f})", bins.sum(axis=0)))
    for title, unit, column in DISTRIBUTIONS:
        parts.append(histogram(title, unit, values([row for row in rows if row.get(column) is not None], column)))
    return "".join(parts)


def _opponents(arms: Sequence[Arm]) -> str:
    """Drivers by opponents: episodes with a collision between the two, of those with such a one."""
    found = {arm.driver: figures(list(arm.rows.values()))["collisions_with"] for arm in arms}
    names = sorted({name for counts in found.values() if isinstance(counts, Mapping) for name in counts})
    if len(names) < 2:
        return ""

    def cell(counts: object, name: str) -> str:
        one = counts.get(name) if isinstance(counts, Mapping) else None
        return f"{one['count']} of {one['episodes']}" if isinstance(one, Mapping) else "-"

    lines = [(driver, *(cell(counts, name) for name in names)) for driver, counts in found.items()]
    note = "<p class=faint>Episodes in which ego collided with one, of those in which one took part.</p>"
    return f"<h2>Opponents</h2>{note}{_table(('', *names), lines)}"


def _player(replays: Sequence[Replay]) -> str:
    picks = "".join(map(_pick, replays))
    traces = "".join(_traces(k, one) for k, one in enumerate(replays))
    rates = "".join(f"<option value={rate}{' selected' if rate == 1 else ''}>{rate} ×</option>" for rate in (0.25, 0.5, 1, 2, 4))
    keys = " ".join(f"<kbd>{html.escape(key)}</kbd> {what} " for key, what in _KEYS)
    return (
        f"<div class=picks>{picks}</div><div class=player><div>"
        '<canvas id=stage width=960 height=720 tabindex=0 role=img aria-label="replay of the episode from above"></canvas>'
        "<div class=controls><button type=button id=play>Play</button>"
        '<input type=range id=scrub min=0 max=1 value=0 aria-label="time"><span id=clock></span>'
        f'<select id=rate aria-label="speed">{rates}</select>'
        "<button type=button id=follow aria-pressed=false>Follow ego</button>"
        "<button type=button id=percepts aria-pressed=true>Percepts</button>"
        "<button type=button id=futures aria-pressed=true>Futures</button></div></div>"
        "<div><strong>Ego</strong><p id=now></p><strong>Goes before ego, as ego believes</strong><div id=beliefs></div>"
        "<p id=events></p><strong>Who is who</strong><div id=cast></div>"
        "<p class=faint>Dots: where ego means to be, a second apart. Ellipses: what it perceives, 95 % of its place; dashed with "
        "a diamond: only that something is in the way; crossed: it may be driven through. Dotted with arrows: the others' ways "
        "in each likely joint future, the thicker the likelier. Dashed in colour: where they then went.</p></div></div>"
        f"<p class=faint>{keys}</p>{traces}"
    )


def _pick(replay: Replay) -> str:
    return f"<button type=button>seed {replay.seed}: {html.escape(replay.why)}</button>"


def _traces(number: int, replay: Replay) -> str:
    return (
        f"<div class=plots data-episode={number} hidden>"
        f"{trace('speed of ego', 'm/s', replay.time_s, replay.speed)}"
        f"{trace('jerk of ego', 'm/s³', replay.time_s, replay.jerk, (-JERK_ALARM, JERK_ALARM))}"
        f"<p class=faint>{_told(replay)}</p></div>"
    )


def _told(replay: Replay) -> str:
    if replay.same:
        return f"Seed {replay.seed}, driven again: bit for bit the episode of the run."
    otherwise = "<strong>it came out otherwise.</strong>"
    return f"Seed {replay.seed}, driven again with other code than the run's, or on another machine: {otherwise}"


def _episodes(rows: Sequence[Row]) -> str:
    lines = [(str(row["seed"]), *(_short(row.get(name)) for name in _LISTED)) for row in rows]
    bad = [bool(row.get("at_fault") or row.get("crashed") or not row.get("completed")) for row in rows]
    return _table(("seed", *(name.replace("_", " ") for name in _LISTED)), lines, bad)


def _short(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2f}" if isinstance(value, float | np.floating) else str(value)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], bad: Sequence[bool] = ()) -> str:
    top = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    marks = [*bad, *([False] * (len(lines) - len(bad)))]
    inner = "".join(
        f"<tr{' class=bad' if mark else ''}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>"
        for line, mark in zip(lines, marks, strict=True)
    )
    return f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{inner}</tbody></table></div>"


def drivers_of(arm: Arm) -> list[str]:
    """Who is in the table: the driver looked at first, then the run's others."""
    return [arm.driver, *(name for name in arm.run.sets if name not in (arm.driver, *PRIVILEGED.values()))]
