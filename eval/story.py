"""The story of a chicken dance: who came when, what ego believed, what it did and why, in words and as a strip of pictures.

Read from one recording with drivers' arrays (`--record arrays` or `full`) of an episode at an all-way stop. Ego's driver must be
the stack: its trace says what it decided, for what reason, and whom it expects to go first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from avstack.behaviours.decision import REASONS, Manoeuvre, Reason
from eval.metrics.crossings import Crossings, crossings
from eval.metrics.foresight import match_places
from eval.metrics.result import Junction
from eval.metrics.traced import ego_arrays, ego_numbers
from scenarios.errors import InputError
from sim.interface import Floats
from sim.recording import Recording, RecordingError, read_recording
from sim.roads.lane_map import Regulation, Turn
from sim.viewer.actors import draw_bodies
from sim.viewer.canvas import FAINT, INK, PAPER, Canvas, fit, shorten
from sim.viewer.cast import Member, choose_cast
from sim.viewer.draw import save
from sim.viewer.road import draw_road

PANELS = 6
PANEL, CAPTION, EDGE = 430.0, 92.0, 12.0  # pixels
AROUND_M = 24.0
"""Half of what a panel shows."""
HELD_TICKS = 4
"""Decisions that were held for less are no part of the story."""
REACH_M = 40.0
_OF_NOBODY = (Reason.FREE, Reason.LINE, Reason.RED_LIGHT, Reason.CHANGES_LANE, Reason.BAD_INPUT, Reason.NO_WAY)
"""Reasons that speak of nobody else."""
_TURNS = {Turn.STRAIGHT: "straight on", Turn.LEFT: "to the left", Turn.RIGHT: "to the right", Turn.U_TURN: "back"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A decision that was held: from tick to tick, what ego did, why, about whom (actor, -1 nobody), the chances (actor ->
    probability of going before ego if that commits) at its beginning, and ego's speed then."""

    first: int
    last: int
    manoeuvre: Manoeuvre
    reason: Reason
    other: int
    chances: Mapping[int, float]
    speed: float
    intervention: bool


def story(path: Path, out: Path) -> None:
    """Write `out` (Markdown) and the strip beside it, of the same name. InputError where there is nothing to tell."""
    try:
        recording = read_recording(path)
    except RecordingError as error:
        raise InputError(str(error), fix="Name a recording of avstack run --record arrays") from None
    junction = junction_in(recording, path)
    beats = beats_of(recording, junction, path)
    picture = out.with_suffix(".png")
    cast = choose_cast(recording)
    chosen = _chosen(recording, beats)
    save(strip(_in_words(recording), cast, chosen).finished(), picture)
    out.write_text(text_of(recording, junction, cast, beats, chosen, picture.name))
    click.echo(f"story: {out}, {picture}", err=True)


def junction_in(recording: Recording, path: Path) -> Junction:
    """The all-way stop that ego crosses, as far as the recorded map tells: lines, exits and who crosses it."""
    lanes = recording.road_map.lanes
    found: list[tuple[int, Floats, Floats]] = []
    for index, actor in enumerate(recording.header.actors):
        for approach, lane in zip(actor.route[:-1], actor.route[1:], strict=True):
            line, ways = lanes[approach].stop_line, lanes[lane].centre
            if line is None or lanes[approach].regulation is not Regulation.ALL_WAY_STOP:
                continue
            start, end = ways[1] - ways[0], ways[-1] - ways[-2]
            heading = math.atan2(start[1], start[0])
            middle = line.mean(axis=0) - 0.5 * actor.length * np.array([math.cos(heading), math.sin(heading)])
            stop = np.array([*middle, heading])
            found.append((index, stop, np.array([*ways[-1], math.atan2(end[1], end[0])])))
            break
    if recording.header.ego not in [index for index, _, _ in found]:
        raise InputError("ego crosses no all-way stop", file=str(path), fix="Record four_way_chicken or four_way_stop")
    nothing = np.zeros(len(found))
    return Junction(
        actors=tuple(index for index, _, _ in found), stop_lines=np.array([stop for _, stop, _ in found]),
        exit_lines=np.array([end for _, _, end in found]), conflicts=np.ones((len(found), len(found)), bool),
        headway=np.zeros((len(found), len(found))), through=nothing, arrivals=nothing, free=nothing, first_come=nothing,
        optimal=nothing, exact=False,
    )  # fmt: skip


def beats_of(recording: Recording, junction: Junction, path: Path) -> list[Beat]:
    """What ego decided, decision by decision, from where it comes near until it has left. InputError without its trace."""
    ticks, manoeuvre = ego_numbers(recording, "manoeuvre")
    chances, places = ego_arrays(recording, "go_first"), ego_arrays(recording, "others_at")
    if not len(ticks) or not chances:
        raise InputError(
            "ego's driver traced no decisions", file=str(path), fix="Use --driver joint --record arrays in avstack run"
        )
    ego = recording.header.ego
    track = {int(row["tick"]): row for row in recording.track(ego if ego is not None else -1)}
    active = dict(zip(*ego_numbers(recording, "intervention"), strict=True))
    me = junction.actors.index(ego if ego is not None else -1)
    left = crossings(recording, junction).left[me] / recording.header.tick_s
    others = dict(zip(*ego_numbers(recording, "other"), strict=True))
    ids = ego_arrays(recording, "others")
    marks: list[Beat] = []
    for tick, what in zip(ticks.tolist(), manoeuvre, strict=True):
        if tick > left or tick not in track or not _near(track[tick], junction.stop_lines[me]):
            continue
        whom = match_places(recording, tick, np.asarray(places.get(tick, np.zeros((0, 2))), np.float64), junction)
        seen = dict(zip(np.asarray(ids.get(tick, ())).tolist(), whom, strict=False))
        about = seen.get(int(others.get(tick, -1)), -1)
        there = {junction.actors[k]: float(p) for k, p in zip(whom, chances.get(tick, ()), strict=False) if k >= 0}
        row = track[tick]
        marks.append(
            Beat(
                first=tick, last=tick, manoeuvre=Manoeuvre(int(what)), reason=Reason(int(row["reason"])),
                other=junction.actors[about] if about >= 0 else -1, chances=there, speed=float(row["speed"]),
                intervention=bool(active.get(tick, 0)),
            )
        )  # fmt: skip
    return _held(marks)


def _held(marks: Sequence[Beat]) -> list[Beat]:
    """Decisions of single ticks joined to those that were held; shorter ones belong to what came before them."""
    joined: list[Beat] = []
    for mark in marks:
        if joined and _same(joined[-1], mark):
            joined[-1] = replace(joined[-1], last=mark.last)
        else:
            joined.append(mark)
    held: list[Beat] = []
    for beat in joined:
        brief = beat.last - beat.first + 1 < HELD_TICKS
        if held and (brief or _same(held[-1], beat)):
            held[-1] = replace(held[-1], last=beat.last)
        elif not brief:
            held.append(beat)
    return held


def _same(one: Beat, other: Beat) -> bool:
    return (one.manoeuvre, one.reason, one.other, one.intervention) == (
        other.manoeuvre, other.reason, other.other, other.intervention,
    )  # fmt: skip


def _near(row: np.void, line: Floats) -> bool:
    return bool(math.hypot(float(row["x"]) - line[0], float(row["y"]) - line[1]) < REACH_M)


def _chosen(recording: Recording, beats: Sequence[Beat]) -> list[Beat]:
    """The beats of the strip, of those at which ego is in the picture: all where they are few, else the first, the last, and
    between them those held longest."""
    x, y = _middle(recording)
    track = recording.track(recording.header.ego or 0)
    shown = track["tick"][(np.abs(track["x"] - x) < AROUND_M) & (np.abs(track["y"] - y) < AROUND_M)]
    seen = [beat for beat in beats if beat.first in shown]
    if len(seen) <= PANELS:
        return seen
    inner = sorted(seen[1:-1], key=lambda beat: beat.first - beat.last)[: PANELS - 2]
    return sorted([seen[0], *inner, seen[-1]], key=lambda beat: beat.first)


def text_of(
    recording: Recording, junction: Junction, cast: Sequence[Member], beats: Sequence[Beat], chosen: Sequence[Beat], picture: str
) -> str:
    """The story as Markdown."""
    found, header = crossings(recording, junction), recording.header
    label = {member.actor: member.label or header.actors[member.actor].name for member in cast}
    lines = [
        f"# A chicken dance: {header.scenario}, seed {header.seed}",
        "",
        f"![{header.scenario}, seed {header.seed}]({picture})",
        "",
        "Percentages beside others: how likely ego holds it that they go first, if ego commits. Numbers beside cars: m/s.",
        "",
        "| who | drives like | goes | at its line [s] | enters [s] | has left [s] |",
        "|---|---|---|---|---|---|",
    ]
    order = sorted(range(len(junction.actors)), key=lambda k: (float(found.arrived[k]), k))
    lines += [_entry(recording, junction, found, k, label) for k in order]
    lines += ["", "What ego did, and why:", ""]
    numbers = {beat.first: number for number, beat in enumerate(chosen, start=1)}
    lines += [_sentence(beat, header.tick_s, label, numbers.get(beat.first)) for beat in beats]
    return "\n".join([*lines, "", _ending(recording, junction, found)]) + "\n"


def strip(recording: Recording, cast: Sequence[Member], beats: Sequence[Beat]) -> Canvas:
    """The panels of the chosen beats, three in a row."""
    across = min(3, max(len(beats), 1))
    down = -(-len(beats) // across) if beats else 1
    width, height = across * (PANEL + EDGE) + EDGE, down * (PANEL + CAPTION + EDGE) + EDGE
    canvas = Canvas(round(width), round(height))
    label = {member.actor: member.label or recording.header.actors[member.actor].name for member in cast}
    for number, beat in enumerate(beats):
        left, top = EDGE + number % across * (PANEL + EDGE), EDGE + number // across * (PANEL + CAPTION + EDGE)
        x, y = _middle(recording)
        view = fit((x - AROUND_M, y - AROUND_M, x + AROUND_M, y + AROUND_M), left, top, PANEL, PANEL)
        draw_road(canvas, recording.road_map, view, beat.first * recording.header.tick_s)
        draw_bodies(canvas, recording, cast, beat.first, view)
        rows = {int(row["actor"]): row for row in recording.at(beat.first)}
        for actor, chance in beat.chances.items():
            if actor in rows:
                at = view.pixels(np.array([[float(rows[actor]["x"]), float(rows[actor]["y"])]]))[0]
                canvas.text((at[0], at[1]), f"{100.0 * chance:.0f} %", 15, INK, "centre", PAPER)
        canvas.rectangle(left, top, PANEL, PANEL, FAINT, 1.0)
        canvas.text((left + 2.0, top + PANEL + 16.0), f"{number + 1}   {beat.first * recording.header.tick_s:.1f} s", 17)
        for line, words in enumerate(_caption(beat, label)):
            canvas.text((left + 2.0, top + PANEL + 40.0 + 22.0 * line), shorten(words, PANEL, 15), 15, INK)
    return canvas


def _in_words(recording: Recording) -> Recording:
    """The recording with ego's reasons named as the stack names them."""
    names = tuple(reason.name for reason in Reason)
    return replace(recording, header=replace(recording.header, reason_names=names))


def _middle(recording: Recording) -> tuple[float, float]:
    """The middle of the junction: the mean of its lanes."""
    ego = recording.header.actors[recording.header.ego or 0]
    junction = next(lane.junction for lane in (recording.road_map.lanes[k] for k in ego.route) if lane.junction >= 0)
    points = np.concatenate([lane.centre for lane in recording.road_map.lanes if lane.junction == junction])
    low, high = points.min(axis=0), points.max(axis=0)
    return float(0.5 * (low[0] + high[0])), float(0.5 * (low[1] + high[1]))


def _caption(beat: Beat, label: Mapping[int, str]) -> tuple[str, str]:
    """What ego does and why, and what it expects."""
    who = "" if beat.reason in _OF_NOBODY else f" {label.get(beat.other, 'somebody')}"
    says = "the safety envelope brakes" if beat.intervention else f"{REASONS[beat.reason]}{who}"
    return says, _expects(beat, label)


def _expects(beat: Beat, label: Mapping[int, str]) -> str:
    chances = [f"{label.get(actor, '?')} {100.0 * chance:.0f} %" for actor, chance in beat.chances.items()]
    return f"goes before ego: {', '.join(chances)}" if chances else "nobody left to settle with"


def _sentence(beat: Beat, tick_s: float, label: Mapping[int, str], number: int | None) -> str:
    says, expects = _caption(beat, label)
    shown = f" (picture {number})" if number is not None else ""
    return f"- **{beat.first * tick_s:.1f} s**{shown}, at {beat.speed:.1f} m/s: {says}. {expects[0].upper()}{expects[1:]}."


def _entry(recording: Recording, junction: Junction, found: Crossings, k: int, label: Mapping[int, str]) -> str:
    """A line of the table of who came when."""
    actor = recording.header.actors[junction.actors[k]]
    turns = [recording.road_map.lanes[lane].turn for lane in actor.route if recording.road_map.lanes[lane].junction >= 0]
    times = (
        f"{time:.1f}" if math.isfinite(time) else "-" for time in map(float, (found.arrived[k], found.entered[k], found.left[k]))
    )
    cells = (label.get(junction.actors[k], actor.name), actor.driver or actor.style, _TURNS[turns[0]] if turns else "", *times)
    return f"| {' | '.join(cells)} |"


def _ending(recording: Recording, junction: Junction, found: Crossings) -> str:
    me = junction.actors.index(recording.header.ego or 0)
    before = int(np.sum(found.entered < found.entered[me]))
    place = f"number {before + 1} of {len(junction.actors)}"
    hits = recording.events["kind"] == recording.header.event_names.index("COLLISION")
    return f"Ego entered as {place}. Collisions: {int(hits.sum())}."
