"""The commands on one episode: watch it and drive in it, give it to other tools."""

from __future__ import annotations

from pathlib import Path

import click

from eval.errors import ExitCode

_PATH = click.Path(path_type=Path)


def _size(_: click.Context, __: click.Parameter, text: str) -> tuple[int, int]:
    from eval.view import parse_size

    return parse_size(text)


def _overlays(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    from eval.view import parse_overlays

    return None if text is None else parse_overlays(text)


@click.command(name="view")
@click.argument("target", metavar="RECORDING.arrow|SCENARIO|SUITE|FILE.yaml|MAP.xodr")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Of a live episode.")
@click.option("--driver", help="Who drives ego of a live episode.  [default: the scenario's]")
@click.option("--sensing", help="What drivers are given: state, objects or lidar.  [default: the scenario's]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the scenario.")
@click.option(
    "--drive", is_flag=False, flag_value="ego", default="", metavar="[NAME]",
    help="Drive a car by hand, ego unless another is named; D takes over any car later on.",
)  # fmt: skip
@click.option("--at", "at_s", type=click.FloatRange(0.0, 3600.0), metavar="S", help="Begin at this time [s].")
@click.option("--rate", default=1.0, show_default=True, type=click.FloatRange(0.05, 20.0), help="Seconds shown a second.")
@click.option("--follow", is_flag=True, help="Keep ego in the middle.")
@click.option(
    "--show", metavar="NAMES", callback=_overlays, help="Overlays to begin with: percepts,plan, for example, all or none."
)
@click.option("--size", default="1280x800", show_default=True, callback=_size, help="Of the window or the pictures, in pixels.")
@click.option("--frames", type=click.IntRange(1, 1_000_000), help="Draw so many pictures, 20 a second, without a window.")
@click.option("--screenshot", type=_PATH, help="Save the last picture; without a window.")
@click.option("--video", type=_PATH, help="Save a film, .mp4 or .gif; without a window unless one drives.")
def view(**options: object) -> ExitCode:
    """Watch a recording or a live episode from above: play, search, look into the drivers' minds, and drive. H shows the keys."""
    from eval.view import Request
    from eval.view import view as watch

    return ExitCode.OK if watch(Request(**options)) else ExitCode.DRIVER_CRASHED  # type: ignore[arg-type]


@click.command(name="export")
@click.argument("recording", type=_PATH)
@click.option("--to", "form", type=click.Choice(("mcap", "parquet", "csv")), required=True, help="What to write.")
@click.option("--out", type=_PATH, help="The file.  [default: beside the recording]")
@click.option("--points", is_flag=True, help="mcap: with the lidar's points, of a full recording that you trust.")
def export(recording: Path, form: str, out: Path | None, points: bool) -> None:
    """Write a recording for other tools: Foxglove's messages (mcap), or a plain table of tracks (parquet, csv)."""
    from eval.export.export import export

    export(recording, form, out, points=points)


COMMANDS = (view, export)
