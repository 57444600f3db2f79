"""The command line, `avstack`. Every import that costs time happens inside the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from eval.arguments import COMMIT_SEEDS, check_time_limit, commit_seeds, parse_seeds, parse_workers, suite_seeds
from eval.cli_rare import COMMANDS as ON_FAILURES
from eval.cli_runs import BENCHES
from eval.cli_runs import COMMANDS as ON_RUNS
from eval.cli_watch import COMMANDS as ON_EPISODES
from eval.errors import ExitCode
from scenarios.errors import InputError

_F = TypeVar("_F", bound=Callable[..., Any])


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from eval.describe import product_version

        click.echo(f"avstack {product_version()}")
        context.exit()


_MODE = "avstack.mode"


def _keep_mode(context: click.Context, _: click.Parameter, mode: str | None) -> None:
    context.meta[_MODE] = mode


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, no_args_is_help=False)
@click.option(
    "--version", "wanted", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it and exit."
)
def program() -> None:
    """Drive scenarios headless, look at maps, and measure the simulator."""


@program.command()
@click.argument("target", metavar="SCENARIO|FILE.yaml|MAP.xodr|MAP.osm|RECORDING.xml")
@click.option("--seeds", default="0", show_default=True, help="Seeds to run: 3, 0..99 or 1,5,7.")
@click.option("--driver", help="Who drives ego: a name, package.module:Class or file.py:Class.  [default: the scenario's]")
@click.option("--sensing", help="What drivers are given: state, objects or lidar.  [default: the scenario's]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for one recording per episode; what it has is not run again."
)
@click.option("--overwrite", is_flag=True, help="Run everything again; what --out holds of this scenario is deleted.")
@click.option(
    "--record", type=click.Choice(("scalar", "arrays", "full")), default="scalar", show_default=True,
    help="arrays: with drivers' arrays; full: and a snapshot every second, from which any tick replays.",
)  # fmt: skip
@click.option("--picture", type=click.Path(path_type=Path), help="Picture of the first episode that fails, or else of the first.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the scenario, e.g. duration_s=30."
)
@click.option(
    "--mode", type=click.Choice(("replay", "ego", "reactive")),
    expose_value=False, callback=_keep_mode,
    help="Of recorded road users: all as recorded; ego among them; ego, and they drive where they would have to react.",
)  # fmt: skip
@click.option(
    "--workers",
    default="auto",
    show_default=True,
    help="Processes to run in; 1 stays in this one; ray or ray:ADDRESS: a cluster.",
)
@click.option("--time-limit", type=float, metavar="S", help="Wall-clock limit of an episode in seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def run(
    target: str, seeds: str, driver: str | None, sensing: str | None, out: Path | None, overwrite: bool,
    record: str, picture: Path | None, settings: tuple[str, ...], workers: str, time_limit: float | None,
    as_json: bool,
) -> ExitCode:  # fmt: skip
    """Drive a scenario for one or many seeds and judge it.

    Exit code: 0 all passed, 1 criteria failed, 2 bad input, 3 the driver crashed, 4 the wall-clock limit was reached.
    """
    chosen, count = parse_seeds(seeds), parse_workers(workers)
    check_time_limit(time_limit)
    from eval.outputs import check_folder, check_picture
    from eval.suite import Request, run_suite

    check_picture(picture)
    if out is not None:
        check_folder(out, "recordings")
    mode = click.get_current_context().meta.get(_MODE)
    if mode is not None:
        settings = (f"mode={mode}", *settings)
    request = Request(
        target=target, seeds=chosen, workers=count, time_limit_s=time_limit, settings=settings, driver=driver, sensing=sensing,
        out=out, record=record, overwrite=overwrite, picture=picture,
    )  # fmt: skip
    return run_suite(request, as_json=as_json)


_SENSING = click.option(
    "--sensing", default="objects", show_default=True, help="What drivers are given: state, objects or lidar."
)
_EPISODES = (
    click.option(
        "--seeds", default="0..99", show_default=True, help="3, 0..99, 1,5,7, or commit:300 for 300 seeds that follow from HEAD."
    ),
    click.option(
        "--workers", default="auto", show_default=True,
        help="Processes to run in; 1 stays in this one; ray or ray:ADDRESS: a cluster.",
    ),
    click.option(
        "--store", type=click.Path(path_type=Path), default=Path("out/results.sqlite"), show_default=True,
        help="File that keeps finished episodes; an evaluation asked for again goes on from there.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables."),
)  # fmt: skip
_DRIVERS = click.option(
    "--driver", "drivers", multiple=True, default=("rules",), show_default=True, help="Who drives ego; may be repeated."
)


def _episodes(command: _F) -> _F:
    """The options that all commands on suites of episodes have."""
    for option in reversed(_EPISODES):
        command = option(command)
    return command


def _evaluation(command: _F) -> _F:
    """The same, and the sensing level."""
    return _SENSING(_episodes(command))


@program.command(name="eval")
@click.argument("suite")
@_DRIVERS
@click.option("--versus", metavar="DRIVER", help="Compare the others with this one, episode by episode.")
@click.option(
    "--regret/--no-regret", default=True, show_default=True,
    help="Let the privileged planner drive the same seeds, where the suite has a use for it.",
)  # fmt: skip
@click.option("--run", "name", default="", help="Name of the run in the store.  [default: SUITE-NUMBER]")
@click.option(
    "--until-clear", metavar="RUN",
    help="Stop once it is clear whether the driver is worse than this run of the store, and exit with 1 if it is.",
)  # fmt: skip
@click.option("--time-limit", type=float, metavar="S", help="Wall-clock limit of an episode in seconds.")
@click.option("--sensing", help="What drivers are given: state, objects or lidar.  [default: the suite's, mostly objects]")
@_episodes
def evaluate(
    suite: str, drivers: tuple[str, ...], versus: str | None, regret: bool, name: str,
    until_clear: str | None, time_limit: float | None, sensing: str | None, seeds: str, workers: str, store: Path, as_json: bool,
) -> ExitCode:  # fmt: skip
    """Evaluate drivers on a named suite, a family, or a scenario file: rates and means with intervals, paired comparisons.

    Every evaluation is a run in the store: `avstack runs`, `compare`, `gate` and `report` take its name.
    """
    check_time_limit(time_limit)
    from eval.evaluate import Request, evaluate
    from eval.suites import suite_name, suite_of

    suite = suite_name(suite)
    request = Request(
        suite=suite, drivers=drivers, versus=versus, sensing=sensing or suite_of(suite).sensing, seeds=suite_seeds(seeds),
        workers=parse_workers(workers), store=store, regret=regret, run=name, until_clear=until_clear, time_limit_s=time_limit,
    )  # fmt: skip
    return evaluate(request, as_json=as_json)


@program.command(name="matched-risk")
@click.argument("suite")
@click.option("--driver", default="joint", show_default=True, help="Who is compared: a driver of the stack.")
@click.option("--against", default="marginal", show_default=True, help="With whom.")
@click.option("--values", default=7, show_default=True, help="So many values of assertiveness from 0 to 1.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of both drivers, e.g. safety=false.")
@_evaluation
@click.pass_context
def matched_risk(
    context: click.Context, suite: str, driver: str, against: str, values: int, settings: tuple[str, ...], sensing: str,
    seeds: str, workers: str, store: Path, as_json: bool,
) -> None:  # fmt: skip
    """Compare the delay of two drivers at equal P(min PET < 1 s), each driven at several values of assertiveness."""
    from eval.evaluate import Request
    from eval.matched_risk import Sweep, matched_risk

    request = Request(
        suite=suite, drivers=(), sensing=sensing, seeds=suite_seeds(seeds), workers=parse_workers(workers), store=store
    )
    sweep = Sweep(request=request, driver=driver, against=against, count=values, settings=settings)
    context.exit(matched_risk(sweep, as_json=as_json))


@program.command(name="matrix")
@_DRIVERS
@click.option("--held-out", is_flag=True, help="Also the opponents that are kept for reports.")
@_evaluation
@click.pass_context
def matrix(
    context: click.Context, drivers: tuple[str, ...], held_out: bool, sensing: str, seeds: str, workers: str, store: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Drive every driver among each kind of opponent alone, and name the worst pair."""
    from eval.evaluate import Request
    from eval.matrix import matrix

    request = Request(
        suite="", drivers=drivers, sensing=sensing, seeds=suite_seeds(seeds), workers=parse_workers(workers), store=store
    )
    context.exit(matrix(request, held_out=held_out, as_json=as_json))


@program.command(name="layers")
@click.option("--held-out", is_flag=True, help="Also the things that are kept for reports.")
@_episodes
@click.pass_context
def layers(context: click.Context, held_out: bool, seeds: str, workers: str, store: Path, as_json: bool) -> None:
    """Show what the layers of perception buy: oracle, rich only, coarse only and layered, from lidar points, side by side."""
    from eval.evaluate import Request
    from eval.layers import layers

    request = Request(suite="", drivers=(), seeds=suite_seeds(seeds), workers=parse_workers(workers), store=store)
    context.exit(layers(request, held_out=held_out, as_json=as_json))


@program.command(name="faults")
@click.option(
    "--driver", "drivers", multiple=True, default=("joint",), show_default=True, help="Who drives ego; may be repeated."
)
@click.option("--sensing", default="lidar", show_default=True, help="What drivers are given: state, objects or lidar.")
@_episodes
@click.pass_context
def faults(
    context: click.Context, drivers: tuple[str, ...], sensing: str, seeds: str, workers: str, store: Path, as_json: bool
) -> None:
    """Break the sensors on the way, in every way in turn: collisions, and how soon the driver notices."""
    from eval.evaluate import Request
    from eval.layers import faults

    request = Request(
        suite="", drivers=drivers, sensing=sensing, seeds=suite_seeds(seeds), workers=parse_workers(workers), store=store
    )
    context.exit(faults(request, as_json=as_json))


@program.command(name="evidence")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/evidence"), show_default=True, help="Its folder.")
@click.option("--hours", type=float, help="Stop after this time; the same command goes on.  [default: to the end]")
@click.option("--share", type=float, default=1.0, show_default=True, help="Run this share of the episodes.")
@click.option("--part", "parts", multiple=True, help="Only this part; may be repeated.")
@click.option("--tuning", is_flag=True, help="A rehearsal: seeds from 0 on, and nothing that is kept for reports.")
@click.option("--workers", default="auto", show_default=True, help="Processes to run in.")
@click.option("--page", type=click.Path(path_type=Path), help="Write what --out holds into this file, as Markdown; run nothing.")
def whole_evidence(
    out: Path, hours: float | None, share: float, parts: tuple[str, ...], tuning: bool, workers: str, page: Path | None
) -> ExitCode:  # fmt: skip
    """Gather the whole evidence on a commit, in pieces if need be, and print its figures beside their targets.

    Its seeds follow from the commit at which it was begun, and it goes on only with the same sources.
    """
    from eval.evidence.run import Order, frozen_seed, gather, write_page

    if page is not None:
        return write_page(out, page)
    first = frozen_seed(out)
    if first is None:
        first = 0 if tuning else commit_seeds(f"{COMMIT_SEEDS}1")[0]
    order = Order(
        folder=out, first_seed=first, share=share, hours=hours, workers=parse_workers(workers), parts=parts, tuning=tuning
    )
    return gather(order)


@program.command(name="story")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("story.md"),
    show_default=True,
    help="The text; the picture lies beside it.",
)
def tell_story(recording: Path, out: Path) -> None:
    """Tell what happened at an all-way stop: who came when, what ego believed and did, as text and as a strip of pictures.

    RECORDING is of `avstack run four_way_chicken --driver joint --record arrays --out DIR`, for example.
    """
    from eval.outputs import check_picture
    from eval.story import story

    check_picture(out.with_suffix(".png"))
    story(recording, out)


@program.command(name="solution")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("solution.xml"), show_default=True, help="The file.")
@click.option("--cost", default="SA1", show_default=True, help="CommonRoad's cost function: JB1, SA1, WX1, SM1, ...")
def commonroad_solution(recording: Path, out: Path, cost: str) -> None:
    """Write ego's drive through a CommonRoad scenario as a CommonRoad solution file.

    RECORDING is of `avstack run FILE.xml --driver joint --out DIR`, for example.
    """
    from eval.outputs import check_folder
    from eval.solution import COSTS, write_solution

    if cost not in COSTS:
        raise InputError(f"cost function {cost!r} is unknown", fix=f"Use one of {', '.join(COSTS)}")
    check_folder(out.parent, "the solution")
    write_solution(recording, out, cost)
    click.echo(f"solution: {out}")


@program.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--yaml", "name", metavar="NAME", help="Print the YAML of one scenario, to start your own from.")
def list_scenarios(as_json: bool, name: str | None) -> None:
    """List the scenarios that come with the package."""
    from eval.listing import list_text, yaml_text

    click.echo(yaml_text(name) if name is not None else list_text(as_json=as_json))


@program.command()
def schema() -> None:
    """Print the JSON schema of scenario files, for editors."""
    import json

    from scenarios.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@program.command(name="map")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the map into this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_map(file: Path, picture: Path | None, as_json: bool) -> None:
    """Show what is read from a map file: lanes, junctions and their arms, stop lines, signals, crosswalks, warnings."""
    import json

    from eval.map_report import format_report, map_report
    from eval.outputs import check_picture
    from scenarios.maps import ground_of
    from scenarios.model import MapSpec

    check_picture(picture)
    if file.suffix.lower() == ".xosc":
        from scenarios.resolve import resolve

        ground = ground_of(resolve(str(file)).example.map, Path.cwd())
    else:
        ground = ground_of(MapSpec(file=str(file)), Path.cwd())
    report = map_report(ground.road_map, ground.arms_in)
    if picture is not None:
        from sim.viewer.draw import draw_map, save

        save(draw_map(ground.road_map), picture)
    click.echo(json.dumps(report) if as_json else format_report(report))
    if picture is not None:
        click.echo(f"picture: {picture}", err=True)


@program.command(name="lidar")
@click.argument("target", metavar="SCENARIO|FILE.yaml|MAP.xodr")
@click.option("--seed", default=0, show_default=True, help="Of the episode.")
@click.option("--at", "at_s", default=5.0, show_default=True, metavar="S", help="Time from the start of the episode [s].")
@click.option("--weather", "weathers", multiple=True, metavar="NAME", help="May be repeated.  [default: the scenario's]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value, e.g. lidar.beams=64.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the points from above into this file.")
@click.option("--points", type=click.Path(path_type=Path), help="Keep the points of the first weather as a .npy file.")
def look_with_lidar(
    target: str, seed: int, at_s: float, weathers: tuple[str, ...], settings: tuple[str, ...], picture: Path | None,
    points: Path | None,
) -> None:  # fmt: skip
    """Show what ego's lidar would see at one moment of a scenario."""
    from eval.lidar import look
    from eval.outputs import check_folder, check_picture

    if not 0.0 <= at_s <= 3600.0:
        raise InputError(f"--at must be between 0 and 3600 s, got {at_s!r}", fix="Use --at 5, for example")
    check_picture(picture)
    if points is not None:
        if points.suffix != ".npy":
            raise InputError(f"cannot write points called {str(points)!r}", fix="End its name in .npy")
        check_folder(points.parent, "points")
    for line in look(target, seed, at_s, weathers, settings, picture, points):
        click.echo(line)


@program.command(name="train", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train(arguments: tuple[str, ...]) -> None:
    """Train a driver: `train policy` (see `train policy --help`)."""
    from eval.policy.cli import train as trainings

    trainings.main(list(arguments), prog_name="avstack train", standalone_mode=False)


@program.command(name="perception", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def perception(arguments: tuple[str, ...]) -> None:
    """Make, judge and look through the learned perception (see `perception --help`)."""
    from eval.perception.cli import program as stages

    stages.main(list(arguments), prog_name="avstack perception", standalone_mode=False)


@program.group()
def bench() -> None:
    """Measure how fast things are on this machine."""


@bench.command(name="sim")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_sim(as_json: bool) -> None:
    """Measure the simulator."""
    import json

    from eval.bench.sim import format_bench, run_bench

    figures = run_bench()
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@bench.command(name="env")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="cuda: extra `cuda`, a GPU.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_env(device: str, as_json: bool) -> None:
    """Measure the environments for reinforcement learning."""
    import json

    if device == "cuda":
        from eval.bench.envs_cuda import format_cuda_bench, run_cuda_bench
        from sim.envs import EnvError

        try:
            on_gpu = run_cuda_bench()
        except EnvError as error:
            raise click.ClickException(str(error)) from None
        click.echo(json.dumps(on_gpu) if as_json else format_cuda_bench(on_gpu))
        return
    from eval.bench.envs import format_bench, run_bench

    figures = run_bench()
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@bench.command(name="lidar", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_lidar(arguments: tuple[str, ...]) -> None:
    """Measure the lidar: rays a second on one core, and a frame with twelve agents around."""
    from eval.bench.lidar import program as lidar

    lidar.main(list(arguments), prog_name="avstack bench lidar")


@bench.command(name="behaviours")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_behaviours(as_json: bool) -> None:
    """Measure what a decision costs with 4, 8, 12 and 16 others, and the whole loop against real time."""
    import json

    from eval.bench.behaviours import format_bench, run_bench

    figures = run_bench()
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@bench.command(name="perception")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_perception(as_json: bool) -> None:
    """Measure what seeing costs, stage by stage from points to percepts, and the whole loop from lidar against real time."""
    import json

    from eval.bench.perception import format_bench, run_bench

    figures = run_bench()
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@bench.command(name="motion")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_motion(as_json: bool) -> None:
    """Measure how smoothly and exactly the stack moves: free stops against their bound, tracking, solve times."""
    import json

    from eval.bench.motion import format_bench, run_bench

    figures = run_bench()
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@bench.command(name="tracking", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_tracking(arguments: tuple[str, ...]) -> None:
    """Measure whether tracking is as sure as it may be, and its speed (see `bench tracking --help`)."""
    from eval.bench.tracking import program as tracking

    tracking.main(list(arguments), prog_name="avstack bench tracking")


@bench.command(name="traffic", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_traffic(arguments: tuple[str, ...]) -> None:
    """Measure how well the traffic drives: episodes, saturation, gaps, drivers, drives (see `bench traffic --help`)."""
    from eval.bench.traffic import program as traffic

    traffic.main(list(arguments), prog_name="avstack bench traffic")


def execute(arguments: Sequence[str]) -> int:
    """Run the program on `arguments` and return its exit code; bad input is one line on stderr."""
    try:
        code = program.main(args=list(arguments), prog_name="avstack", standalone_mode=False)
        return int(code) if isinstance(code, int) else ExitCode.OK
    except InputError as error:
        click.echo(f"avstack: {error}", err=True)
    except click.ClickException as error:
        click.echo(f"avstack: {error.format_message()}", err=True)
    except (click.Abort, KeyboardInterrupt):
        click.echo("avstack: interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output has gone; Python would try again at exit
        return ExitCode.OK
    except OSError as error:  # an output that could be written to when it was checked: the disk is full, or a folder has gone
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"avstack: {place}{error.strerror or error}. Make room, or choose another place", err=True)
    return ExitCode.BAD_INPUT


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(execute(sys.argv[1:]))


for _command in (*ON_RUNS, *ON_EPISODES, *ON_FAILURES):
    program.add_command(_command)
for _command in BENCHES:
    bench.add_command(_command)

if __name__ == "__main__":
    main()
