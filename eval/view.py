"""`avstack view`: a recording or a live episode on the screen, or without one as a picture or a film."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from eval.evaluate import driven_by
from eval.live import LiveFeed
from eval.outputs import check_folder, check_picture
from eval.run import Job, check_sensing, load_drivers, prepare
from eval.suites import SUITES, suite_of
from eval.words import REASON_WORDS
from scenarios.errors import InputError
from scenarios.nearest import nearest
from sim.interface import Kind
from sim.recording import RecordingError, read_recording
from sim.scenario import Scenario
from sim.viewer.cast import EGO_COLOUR, OTHERS_COLOUR, PALETTE, area, choose_cast, focus, padded
from sim.viewer.draw import save
from sim.viewer.feed import RecordedFeed
from sim.viewer.overlays import Overlay
from sim.viewer.picture import draw
from sim.viewer.video import SUFFIXES, VideoError, encoder, filming
from sim.viewer.viewer import LEAST_SIZE, Badge, Bounds, Show, Viewer
from sim.viewer.window import NoDisplayError, pictures, watch
from sim.warm import is_warm, warm_up

FPS = 20
"""Pictures a second of films and of what is drawn without a window."""
EGO, DEFAULT_DRIVER = "ego", "joint"
RECORDINGS = (".arrow", ".part")
MET_M, AROUND_M = 36.0, 42.0
"""Half of what is shown at first, at most: of a recording around where ego met others, of a live one its first junction."""
NEAR_M = 70.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `avstack view` was asked for. drive: name of who is driven by hand from the start, "" for nobody; at_s: where to
    begin; frames: so many pictures, without a window; show: overlays to begin with, None for the usual ones."""

    target: str
    seed: int = 0
    driver: str | None = None
    sensing: str | None = None
    settings: tuple[str, ...] = ()
    drive: str = ""
    at_s: float | None = None
    rate: float = 1.0
    follow: bool = False
    show: tuple[Overlay, ...] | None = None
    size: tuple[int, int] = (1280, 800)
    frames: int | None = None
    screenshot: Path | None = None
    video: Path | None = None

    @property
    def in_window(self) -> bool:
        """Whether somebody is to look on."""
        return self.frames is None and self.screenshot is None and (self.video is None or bool(self.drive))


def view(request: Request) -> bool:
    """Show it. False where a driver failed on the way. Raises InputError: what cannot be read, found, written or shown."""
    _check_outputs(request)
    try:
        viewer = Viewer(open_show(request), request.size)
        with ExitStack() as stack:
            stack.callback(lambda: _leave(viewer.show))
            _begin(viewer, request)
            film = stack.enter_context(filming(request.video, FPS)) if request.video is not None else None
            if request.in_window:
                watch(viewer, lambda: _keep(viewer), film)
            else:
                frames = request.frames if request.frames is not None else None if film is not None else 1
                for picture in pictures(viewer, FPS, frames):
                    if film is not None:
                        film(picture)
    except RecordingError as error:
        raise InputError(str(error), fix="Name a recording of avstack run --out, or a scenario") from None
    except (NoDisplayError, VideoError) as error:
        fix = "Use --screenshot, --video or --frames, which need none" if isinstance(error, NoDisplayError) else ""
        raise InputError(str(error), fix=fix) from None
    if request.screenshot is not None:
        save(draw(viewer), request.screenshot)
    return not (isinstance(viewer.feed, LiveFeed) and viewer.feed.crashed)


def open_show(request: Request) -> Show:
    """What is to be seen, at its beginning. Raises InputError, and RecordingError for a recording that cannot be read."""
    return _recorded(request) if request.target.endswith(RECORDINGS) else _live(request, request.seed)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of "1280x800". Raises InputError."""
    width, x, height = text.lower().partition("x")
    if not (x and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise InputError(f"cannot read the size {text!r}", fix="Write 1280x800, for example")
    size = int(width), int(height)
    if size[0] < LEAST_SIZE[0] or size[1] < LEAST_SIZE[1] or max(size) > 8192:
        raise InputError(f"the size {text} is too small or too large", fix=f"Use at least {LEAST_SIZE[0]}x{LEAST_SIZE[1]}")
    return size


def parse_overlays(text: str) -> tuple[Overlay, ...]:
    """Overlays of "percepts,plan", "all" or "none". Raises InputError."""
    if text in ("all", "none"):
        return tuple(Overlay) if text == "all" else ()
    names, known = [part.strip() for part in text.split(",")], [one.value for one in Overlay]
    for name in names:
        if name not in known:
            raise InputError(f"unknown overlay {name!r}{nearest(name, known)}", fix=f"Use {', '.join(known)}, all or none")
    return tuple(Overlay(name) for name in names)


def _check_outputs(request: Request) -> None:
    """Raise InputError for what could not be written in the end."""
    check_picture(request.screenshot)
    if request.video is None:
        return
    if request.video.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot write a film called {str(request.video)!r}", fix=f"End its name in {' or '.join(SUFFIXES)}")
    check_folder(request.video.parent, "the film")
    try:
        encoder()
    except VideoError as error:
        raise InputError(str(error)) from None


def _begin(viewer: Viewer, request: Request) -> None:
    """Overlays, speed, moment and seat that were asked for."""
    viewer.rate = request.rate
    if request.show is not None:
        viewer.overlays = {one: one in request.show for one in Overlay}
    if request.at_s is not None:
        viewer.seek(round(request.at_s / viewer.feed.header.tick_s))
        viewer.play(not viewer.at_end and request.screenshot is None)
    if request.follow:
        viewer.follow(True)
    if request.drive:
        viewer.chosen = _actor(viewer, request.drive)
        viewer.drive()


def _leave(show: Show) -> None:
    if isinstance(show.feed, LiveFeed):
        show.feed.close()


def _actor(viewer: Viewer, name: str) -> int:
    names = [actor.name for actor in viewer.feed.header.actors]
    if name == EGO and viewer.feed.header.ego is not None:
        return viewer.feed.header.ego
    if name not in names:
        raise InputError(f"there is nobody called {name!r}{nearest(name, names)}", fix=f"Drive one of {', '.join(names)}")
    return names.index(name)


def _recorded(request: Request) -> Show:
    recording = read_recording(Path(request.target), partial=True)
    if request.drive or request.driver or request.sensing or request.settings:
        what = "nobody can drive in a recording" if request.drive else "a recording has its drivers and settings already"
        raise InputError(what, file=request.target, fix="View its scenario instead")
    cast = choose_cast(recording)
    badges = {member.actor: Badge(label=member.label, colour=member.colour) for member in cast if member.main}
    whole, met = area(recording, cast), focus(recording, cast)
    near = whole if met is None else _around(whole, (float(met[0]), float(met[1])), MET_M)
    return Show(feed=RecordedFeed(recording), bounds=near, badges=badges, reasons=REASON_WORDS)


def _live(request: Request, seed: int) -> Show:
    scenario = _scenario(request, seed)
    load_drivers(scenario)
    if not is_warm():
        click.echo("compiling the simulator for this machine, once (about half a minute) ...", err=True)
        warm_up()
    feed = LiveFeed(scenario)

    def restart(seed: int) -> Show:
        feed.close()
        return _live(request, seed)

    return Show(
        feed=feed, bounds=_bounds(feed), badges=_badges(feed), reasons=REASON_WORDS, restart=restart
    )  # fmt: skip


def _scenario(request: Request, seed: int) -> Scenario:
    """Of a suite's seed, of the catalogue, or of a file."""
    if request.target not in SUITES:
        return prepare(
            Job(
                target=request.target, seed=seed, settings=request.settings, driver=request.driver, sensing=request.sensing,
                record="arrays",
            )
        )  # fmt: skip
    if request.settings:
        raise InputError(f"the scenarios of suite {request.target!r} cannot be set", fix="Leave --set out, or name a scenario")
    scenario = suite_of(request.target).scenario(seed)
    if request.sensing is not None:
        check_sensing(request.sensing)
        scenario = replace(scenario, sensing=request.sensing)
    return driven_by(scenario, request.driver or DEFAULT_DRIVER)


def _bounds(feed: LiveFeed) -> Bounds:
    """The first junction on ego's way, or ego where that is far; without an ego, everybody."""
    rows, ego = feed.rows(feed.first_tick), feed.header.ego
    mine = rows[rows["actor"] == ego] if ego is not None else rows[:0]
    if ego is None or len(mine) == 0:
        rows = rows[[feed.header.actors[actor].kind != Kind.OBJECT.name for actor in rows["actor"]]]
        places = np.column_stack((rows["x"], rows["y"]))
        return padded(places.min(axis=0), places.max(axis=0)) if len(places) else feed.road_map.bounds()
    x, y = float(mine["x"][0]), float(mine["y"][0])
    lanes = [feed.road_map.lanes[lane] for lane in feed.header.actors[ego].route]
    junctions = [lane.centre.mean(axis=0) for lane in lanes if lane.junction >= 0]
    if junctions and np.hypot(*(junctions[0] - (x, y))) < NEAR_M:
        x, y = (float(value) for value in junctions[0])
    return x - AROUND_M, y - AROUND_M, x + AROUND_M, y + AROUND_M


def _around(whole: Bounds, middle: tuple[float, float], half: float) -> Bounds:
    """As much of it as is within `half` [m] of a place."""
    x, y = middle
    return max(whole[0], x - half), max(whole[1], y - half), min(whole[2], x + half), min(whole[3], y + half)


def _badges(feed: LiveFeed) -> dict[int, Badge]:
    """Ego by name, everybody else by a letter in the order of the actor table."""
    found: dict[int, Badge] = {}
    for index, actor in enumerate(feed.header.actors):
        if index == feed.header.ego:
            found[index] = Badge(label=EGO, colour=EGO_COLOUR)
        elif actor.kind != Kind.OBJECT.name:
            number = sum(1 for known in found if known != feed.header.ego)
            letter = chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
            colour = PALETTE[number % len(PALETTE)] if number < 26 else OTHERS_COLOUR
            found[index] = Badge(label=letter, colour=colour)
    return found


def _keep(viewer: Viewer) -> str:
    """Save the picture of now, and say where."""
    header = viewer.feed.header
    path = Path(f"{header.scenario}-{header.seed}-{viewer.at * header.tick_s:.1f}s.png")
    try:
        save(draw(viewer), path)
    except OSError as error:
        return f"not saved: {error}"
    return f"saved: {path}"
