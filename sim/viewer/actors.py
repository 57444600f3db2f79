"""Road users in a picture: bodies with their lights and labels at one tick, and the paths they took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.interface import Gear, Gesture, Indicator, Kind
from sim.recording import Header, RecordedActor, Recording
from sim.viewer.canvas import ALARM, INK, PAPER, Canvas, Colour, View, box_corners, text_width
from sim.viewer.cast import EGO_COLOUR, Member, contacts

AMBER: Colour = (255, 170, 0)
BRAKE: Colour = (225, 0, 0)
WINDOW: Colour = (235, 240, 245)
OBJECT: Colour = (122, 104, 84)
WAVE: Colour = (0, 170, 190)
_LABEL_GAP = 23.0  # pixels between the labels of two paths
_SIZE_MIN = 2.5  # pixels, half of what the smallest road user may shrink to


def draw_paths(canvas: Canvas, recording: Recording, cast: Sequence[Member], view: View) -> None:
    """Every actor's way: ego's on top and widest, a dot each second, ego's seconds numbered every five."""
    canvas.clip(view.left, view.top, view.width, view.height)
    per_second = max(1, round(1.0 / recording.header.tick_s))
    for member in reversed(cast):
        points = view.pixels(np.column_stack((member.track["x"], member.track["y"])))
        ego = member.actor == recording.header.ego
        canvas.line(_thinned(points), member.colour, 3.4 if ego else 2.0 if member.main else 1.0)
        if not member.main:
            continue
        for place in np.flatnonzero(member.track["tick"] % per_second == 0):
            canvas.dot((points[place, 0], points[place, 1]), 2.6 if ego else 2.0, PAPER, member.colour)
    taken: list[NDArray[np.float64]] = []
    for member in cast:
        if member.main and len(member.track):
            _label_path(canvas, recording, member, view, taken)
    for event in contacts(recording):
        draw_contact(canvas, view, float(event["x"]), float(event["y"]))
    canvas.unclip()


def draw_bodies(canvas: Canvas, recording: Recording, cast: Sequence[Member], tick: int, view: View) -> None:
    """Everybody who is there at `tick`: box, heading, lights, label with speed; ego's with the reason for its speed."""
    canvas.clip(view.left, view.top, view.width, view.height)
    rows = {int(row["actor"]): row for row in recording.at(tick)}
    shown = [(member, rows[member.actor]) for member in reversed(cast) if member.actor in rows]
    for member, row in shown:
        draw_body(
            canvas, view, recording.header.actors[member.actor], row, member.colour, ego=member.actor == recording.header.ego
        )
    ego = rows.get(recording.header.ego) if recording.header.ego is not None else None
    for member, row in shown:
        if member.main:
            _label_body(canvas, recording.header, member, row, view, ego)
    for event in contacts(recording):
        if abs(int(event["tick"]) - tick) <= 1:
            draw_contact(canvas, view, float(event["x"]), float(event["y"]))
    canvas.unclip()


def draw_body(canvas: Canvas, view: View, actor: RecordedActor, row: np.void, colour: Colour, *, ego: bool) -> None:
    """One road user at its true size, never smaller than can be seen."""
    x, y, heading = float(row["x"]), float(row["y"]), float(row["heading"])
    at = view.pixels(np.array([[x, y]]))[0]
    if actor.kind == Kind.PEDESTRIAN.name:
        canvas.dot((at[0], at[1]), max(0.35 * view.scale, _SIZE_MIN), colour, INK)
        nose = view.pixels(np.array([[x, y], [x + 0.9 * np.cos(heading), y + 0.9 * np.sin(heading)]]))
        canvas.line(nose, INK, 1.2)
        return
    least = 2.0 * _SIZE_MIN / view.scale
    length, width = max(actor.length, least), max(actor.width, least)
    corners = box_corners(x, y, heading, length, width)
    if actor.kind == Kind.OBJECT.name:
        canvas.polygon(view.pixels(corners), OBJECT, INK, 1.0)
        return
    canvas.polygon(view.pixels(corners), colour, INK, 2.4 if ego else 1.0)
    # A bright windscreen towards the front shows the heading at any size.
    front, rear = 0.72, 0.50
    screen = np.array(
        [_inside(corners, front, 0.12), _inside(corners, front, 0.88), _inside(corners, rear, 0.80), _inside(corners, rear, 0.20)]
    )
    canvas.polygon(view.pixels(screen), WINDOW)
    _draw_lights(canvas, view, corners, row)
    if int(row["crashed"]) > 0:
        canvas.line(view.pixels(corners[[0, 2]]), ALARM, 1.6)
        canvas.line(view.pixels(corners[[1, 3]]), ALARM, 1.6)


def draw_contact(canvas: Canvas, view: View, x: float, y: float) -> None:
    """A red star where two bodies touched."""
    at = view.pixels(np.array([[x, y]]))[0]
    for turn in np.arange(4) * np.pi / 4.0:
        arm = np.array([np.cos(turn), np.sin(turn)]) * 8.0
        canvas.line(np.array([at - arm, at + arm]), ALARM, 2.0)


def describe_actor(actor: RecordedActor) -> str:
    """Name, kind, and who drives it."""
    what = actor.thing or actor.kind.lower()
    who = actor.driver or (actor.style if actor.style != "normal" else "")
    return f"{actor.name} ({what}{', ' + who if who else ''})" if what != actor.name else actor.name


def _inside(corners: NDArray[np.float64], along: float, aside: float) -> NDArray[np.float64]:
    """Point of a box: `along` from rear (0) to front (1), `aside` from left (0) to right (1)."""
    front = corners[0] + aside * (corners[1] - corners[0])
    rear = corners[3] + aside * (corners[2] - corners[3])
    point: NDArray[np.float64] = rear + along * (front - rear)
    return point


def _draw_lights(canvas: Canvas, view: View, corners: NDArray[np.float64], row: np.void) -> None:
    """Indicators as amber dots at the corners, brake lights as a red bar at the rear, reversing as a white one, a wave a ring."""
    pixels = view.pixels(corners)
    radius = float(np.clip(0.35 * view.scale, 1.8, 4.0))
    indicator = int(row["indicator"])
    if indicator in (Indicator.LEFT, Indicator.HAZARD):
        for corner in (pixels[0], pixels[3]):
            canvas.dot((corner[0], corner[1]), radius, AMBER, INK)
    if indicator in (Indicator.RIGHT, Indicator.HAZARD):
        for corner in (pixels[1], pixels[2]):
            canvas.dot((corner[0], corner[1]), radius, AMBER, INK)
    if int(row["brake_light"]):
        canvas.line(pixels[[2, 3]], BRAKE, 1.5 * radius)
    if int(row["gear"]) == Gear.REVERSE:
        canvas.line(view.pixels(np.array([_inside(corners, 0.0, 0.3), _inside(corners, 0.0, 0.7)])), WINDOW, 1.5 * radius)
    if int(row["gesture"]) == Gesture.WAVE:
        middle = pixels.mean(axis=0)
        canvas.ring((middle[0], middle[1]), 2.2 * view.scale + 3.0, WAVE, 2.0)


def _label_body(canvas: Canvas, header: Header, member: Member, row: np.void, view: View, ego: np.void | None) -> None:
    """Label and speed: over ego, and beside others on the side that is turned away from ego."""
    at = view.pixels(np.array([[float(row["x"]), float(row["y"])]]))[0]
    if not (view.left <= at[0] <= view.left + view.width and view.top <= at[1] <= view.top + view.height):
        return
    clear = 1.6 * view.scale + 9.0
    words = f"{member.label} {float(row['speed']):.1f}"
    if member.actor == header.ego or ego is None:
        canvas.text((at[0], at[1] - clear), words, 13 if ego is not None else 12, member.colour, "centre", PAPER)
    else:
        away = np.array([float(row["x"] - ego["x"]), float(ego["y"] - row["y"])])
        away = away / max(float(np.hypot(*away)), 1e-9) if np.hypot(*away) > 0.5 else np.array([0.0, -1.0])
        reach = 0.5 * text_width(words, 12)
        canvas.text(
            (at[0] + away[0] * (clear + reach), at[1] + away[1] * (clear + 4.0)), words, 12, member.colour, "centre", PAPER
        )
    reason = int(row["reason"])
    if member.actor == header.ego and 0 <= reason < len(header.reason_names):
        canvas.text((at[0], at[1] + clear), _words(header.reason_names[reason]), 11, EGO_COLOUR, "centre", PAPER)


def _label_path(canvas: Canvas, recording: Recording, member: Member, view: View, taken: list[NDArray[np.float64]]) -> None:
    """The actor's label where its path begins inside the view, further on where another label is there; and ego's seconds."""
    per_second = max(1, round(1.0 / recording.header.tick_s))
    points = view.pixels(np.column_stack((member.track["x"], member.track["y"])))
    inside = (points[:, 0] >= view.left + 8) & (points[:, 0] <= view.left + view.width - 8)
    inside &= (points[:, 1] >= view.top + 8) & (points[:, 1] <= view.top + view.height - 8)
    if not inside.any():
        return
    free = inside.copy()
    for other in taken:
        free &= np.hypot(*(points - other).T) > _LABEL_GAP
    start = points[int(np.argmax(free if free.any() else inside))]
    taken.append(start)
    canvas.dot((start[0], start[1]), 9.0 if member.label != "ego" else 12.0, member.colour, PAPER)
    canvas.text((start[0], start[1]), member.label, 12 if member.label != "ego" else 11, PAPER, "centre")
    if member.actor != recording.header.ego:
        return
    last = start
    for place in np.flatnonzero((member.track["tick"] % (5 * per_second) == 0) & inside):
        if np.hypot(*(points[place] - last)) > 24.0:
            last = points[place]
            canvas.text(
                (last[0] + 7.0, last[1] - 9.0), f"{member.track['tick'][place] // per_second} s", 11, EGO_COLOUR, "left", PAPER
            )


def _thinned(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points at least a pixel apart: standing still draws nothing a thousand times."""
    keep = [0]
    for place in range(1, len(points)):
        if np.abs(points[place] - points[keep[-1]]).max() >= 1.0:
            keep.append(place)
    return points[keep]


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
