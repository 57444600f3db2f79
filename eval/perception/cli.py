"""`avstack perception`: data, train, calibrate, evaluate, look."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from avstack.perception.detect import WEIGHTS
from eval.perception.splits import CONDITIONS, SPLITS
from scenarios.errors import InputError

_F = TypeVar("_F", bound=Callable[..., Any])
MADE = ("train", "crowded", "calibration")
_FORMATS = ("auto", "kitti", "nuscenes", "array")

_PLACE = (
    click.option(
        "--folder", type=click.Path(path_type=Path), default=Path("out/perception"), show_default=True,
        help="Samples and the state of training; stages go on from what it holds.",
    ),
    click.option(
        "--weights", type=click.Path(path_type=Path), default=None, help="Folder of the models.  [default: FOLDER/weights]"
    ),
    click.option("--share", type=float, default=1.0, show_default=True, help="Use this share of the scenes."),
)  # fmt: skip


def _place(command: _F) -> _F:
    for option in reversed(_PLACE):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def program() -> None:
    """Make, calibrate and judge the learned perception, or let it look at a sweep of your own."""


def _say(text: str) -> None:
    click.echo(text, err=True)


def _at(folder: Path, weights: Path | None, share: float) -> Any:
    from eval.perception.pipeline import Place

    place = Place(folder=folder, weights=weights if weights is not None else folder / "weights", share=share)
    place.check()
    return place


@program.command()
@_place
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(tuple(SPLITS)), default=MADE, show_default=True,
    help="May be repeated.",
)  # fmt: skip
def data(folder: Path, weights: Path | None, share: float, splits: tuple[str, ...]) -> None:
    """Make labelled samples in the simulator."""
    from eval.perception.pipeline import make_data

    make_data(_at(folder, weights, share), splits, _say)


@program.command()
@_place
@click.option("--seed", type=int, default=1, show_default=True, help="Of the beginnings and the order of samples.")
@click.option("--passes", type=click.IntRange(min=1), help="Over all samples.  [default: as shipped]")
def train(folder: Path, weights: Path | None, share: float, seed: int, passes: int | None) -> None:
    """Train the network; on a GPU where there is one."""
    from eval.perception.pipeline import train_network

    train_network(_at(folder, weights, share), seed, passes, _told(), _say)


@program.command()
@_place
def calibrate(folder: Path, weights: Path | None, share: float) -> None:
    """Fit scores, covariances, trust and the coarse threshold on scenes of their own."""
    from eval.perception.pipeline import calibrate

    calibrate(_at(folder, weights, share), _say)


@program.command()
@_place
@click.option(
    "--split", type=click.Choice(("development", "gate", "test")), default="test", show_default=True, help="Scenes to judge on."
)
@click.option(
    "--condition", "conditions", multiple=True, type=click.Choice(tuple(CONDITIONS)), help="May be repeated.  [default: all]"
)
@click.option("--pictures", type=click.Path(path_type=Path), help="Folder for reliability diagrams.")
@click.option("--keep", is_flag=True, help="Write the figures beside the weights.")
@click.option("--uncalibrated", is_flag=True, help="Judge the networks' own numbers.")
@click.option("--run", metavar="NAME", help="Keep a row a scene as this run, for avstack gate and compare.")
@click.option(
    "--store", type=click.Path(path_type=Path), default=Path("out/results.sqlite"), show_default=True, help="File for the run."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    folder: Path, weights: Path | None, share: float, split: str, conditions: tuple[str, ...], pictures: Path | None, keep: bool,
    uncalibrated: bool, run: str | None, store: Path, as_json: bool,
) -> None:  # fmt: skip
    """Judge the shipped models, or others, in all conditions."""
    from eval.outputs import check_folder
    from eval.perception.pipeline import figures_of, judge_conditions, write_report
    from eval.perception.table import format_figures

    place = _at(folder, weights if weights is not None else WEIGHTS, share)
    if pictures is not None:
        check_folder(pictures, "diagrams")
    if keep and uncalibrated:
        raise InputError("figures of uncalibrated models are not kept beside weights", fix="Leave out --keep or --uncalibrated")
    names, kept = conditions or SPLITS[split].conditions, None if run is None else (store, run)
    figures = figures_of(place, judge_conditions(place, split, names, _say, calibrated=not uncalibrated, kept=kept), pictures)
    if keep:
        write_report(place, figures, _told())
    click.echo(json.dumps(figures) if as_json else format_figures(figures))


@program.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(_FORMATS), default="auto", show_default=True, help="Of the file.")
@click.option("--height", type=float, help="Of the sensor above the ground [m].  [default: the format's own]")
@click.option("--weights", type=click.Path(path_type=Path), default=None, help="Folder of other models.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Draw it into this file.  [default: FILE's name with .png, here]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the things found, and draw only where --picture says.")
def look(file: Path, kind: str, height: float | None, weights: Path | None, picture: Path | None, as_json: bool) -> None:
    """Show what the models see in a sweep: a KITTI or nuScenes .bin file, or a numpy array of points."""
    from eval.outputs import check_picture
    from eval.perception.look import read_points, see, told
    from eval.perception.pipeline import load

    wanted = picture if picture is not None or as_json else Path(file.with_suffix(".png").name)
    check_picture(wanted)
    points = read_points(file, kind, height)
    detections = see(points, load(weights if weights is not None else WEIGHTS))
    if as_json:
        click.echo(json.dumps(told(detections)))
    if wanted is not None:
        import sim.viewer  # noqa: F401  before pygame, which else greets on stdout
        from eval.perception.draw import draw_detections

        draw_detections(points, detections, wanted)
        click.echo(f"picture: {wanted}", err=True)
    if not as_json:
        click.echo(f"{len(points)} points, {len(detections.things)} things")


@program.command()
@click.argument("target", metavar="SCENARIO|FILE.yaml|MAP.xodr")
@click.option("--seed", default=0, show_default=True, help="Of the episode.")
@click.option("--at", "at_s", default=5.0, show_default=True, metavar="S", help="Time from the start of the episode [s].")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value, e.g. weather=fog.")
@click.option(
    "--picture", type=click.Path(path_type=Path), default=Path("perceived.png"), show_default=True, help="Draw into this file."
)
def show(target: str, seed: int, at_s: float, settings: tuple[str, ...], picture: Path) -> None:
    """Draw what the stack perceives of a scenario at one moment: points, coarse grid, tracked things with ellipses and trust."""
    from eval.outputs import check_picture
    from eval.perception.show import perceived

    if not 0.0 < at_s <= 3600.0:
        raise InputError(f"--at must be above 0 and at most 3600 s, got {at_s!r}", fix="Use --at 5, for example")
    check_picture(picture)
    moment = perceived(target, seed, at_s, settings)
    import sim.viewer  # noqa: F401  before pygame, which else greets on stdout
    from eval.perception.draw import draw_detections

    draw_detections(moment.points, moment.seen, picture, moment.truth)
    click.echo(f"{len(moment.points)} points, {len(moment.seen.things)} things; picture: {picture}")


@program.command()
@click.option("--sensing", type=click.Choice(["lidar", "objects"]), default="lidar", show_default=True, help="Whose readings.")
@click.option("--first-seed", default=1_000_000, show_default=True, help="First of the seeds of each family of traffic.")
@click.option("--seeds", default=2, show_default=True, help="Seeds per family.")
@click.option("--weather", help="Sense in this weather.  [default: the scenario's]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def errors(sensing: str, first_seed: int, seeds: int, weather: str | None, as_json: bool) -> None:
    """Measure how far readings are off in traffic, by kind, range and weather, and how long errors last."""
    from eval.perception.errors import errors_text, measure

    figures = measure(sensing, first_seed, seeds, weather)
    click.echo(json.dumps(figures) if as_json else errors_text(figures))


def _told() -> str:
    """The command that is running, as one would type it."""
    arguments = [one for one in sys.argv[1:] if one != "perception"]
    return " ".join(["avstack perception", *arguments])
