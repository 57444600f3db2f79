"""`avstack train policy`: train a policy, or say how well one drives."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click

from scenarios.errors import InputError

_DEFAULT_MINUTES = 10.0


@click.group(name="train")
def train() -> None:
    """Train drivers."""


def _positive(name: str, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{name} must be a positive number, got {value!r}", fix=f"Use {name} 10, for example")
    return value


@train.command(name="policy")
@click.argument("scenario", default="four_way_stop")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out/policy"),
    show_default=True,
    help="Folder of the policy, its log and its learning curve; training goes on from what it holds.",
)
@click.option("--overwrite", is_flag=True, help="Start anew.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Everything is drawn from it.")
@click.option("--minutes", type=float, help="Stop after so many minutes.  [default: 10, where no other limit is given]")
@click.option("--cpu-minutes", type=float, help="Stop after so many minutes of CPU time, on a machine with other work.")
@click.option("--updates", type=click.IntRange(1), help="Stop after so many updates: the same policy on every run.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="For simulation and for learning.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the scenario.")
@click.option("--evaluate", type=click.Path(path_type=Path), metavar="FILE.npz", help="Train nothing: judge this policy.")
@click.option("--episodes", type=click.IntRange(1, 4000), default=1000, show_default=True, help="To judge it by.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def policy(
    scenario: str, out: Path, overwrite: bool, seed: int, minutes: float | None, cpu_minutes: float | None, updates: int | None,
    threads: int, settings: tuple[str, ...], evaluate: Path | None, episodes: int, as_json: bool,
) -> None:  # fmt: skip
    """Train a policy by self-play on SCENARIO, a family of the catalogue or a file, or judge one with --evaluate.

    What it learns drives as `--driver policy:OUT/policy.npz`.
    """
    if evaluate is not None:
        from eval.policy.assess import figures_of, format_figures
        from eval.policy.driver import weights_at

        figures = figures_of(weights_at(str(evaluate)), scenario, episodes, settings)
        click.echo(json.dumps(figures) if as_json else format_figures(figures))
        return
    minutes, cpu_minutes = _positive("--minutes", minutes), _positive("--cpu-minutes", cpu_minutes)
    if minutes is None and cpu_minutes is None and updates is None:
        minutes = _DEFAULT_MINUTES
    from eval.outputs import check_folder

    check_folder(out, "the policy")
    try:
        from eval.train_policy import LOG, POLICY, STATE, Budget, TrainConfig
        from eval.train_policy import train as run
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError("training needs torch", fix="Install the extra: pip install 'avstack-sim[learn]'") from None
    if overwrite:
        (out / STATE).unlink(missing_ok=True)
    config = TrainConfig(family=scenario, settings=settings, seed=seed, threads=threads)
    budget = Budget(minutes=minutes, cpu_minutes=cpu_minutes, updates=updates)
    weights = run(config, budget, out, lambda row: click.echo(_told(row), err=True))
    spent = weights.about["spent"]
    told = {"policy": str(out / POLICY), "log": str(out / LOG), **spent}
    told["steps_per_cpu_s"] = spent["decisions"] / max(spent["cpu_s"], 1e-9)
    click.echo(json.dumps(told) if as_json else f"{told['policy']}: --driver policy:{told['policy']}")


@train.command(name="curve")
@click.argument("picture", type=click.Path(path_type=Path))
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True)
def curve(picture: Path, folders: tuple[Path, ...]) -> None:
    """Draw the learning curves of several trainings, each the --out of one, into PICTURE.svg."""
    from eval.outputs import check_folder
    from eval.policy.curve import draw_curve, read_log

    if picture.suffix != ".svg":
        raise InputError(f"cannot write curves called {str(picture)!r}", fix="End its name in .svg")
    check_folder(picture.parent, "the curves")
    draw_curve(picture, [read_log(folder / "log.csv") for folder in folders], [folder.name for folder in folders])


def _told(row: dict[str, float]) -> str:
    """A row of the log as a line."""
    return (
        f"{row['updates']:5.0f} updates {row['decisions'] / 1e6:6.2f} M decisions {row['cpu_s'] / 60:5.1f} min CPU "
        f"{row['wall_s'] / 60:5.1f} min | arrives: among strangers {100 * row['strangers_success']:5.1f} %, among copies "
        f"{100 * row['copies_success']:5.1f} %; collides {100 * row['strangers_collision']:4.1f} %, "
        f"{100 * row['copies_collision']:4.1f} % | {row['decisions_per_cpu_s']:,.0f}"
        f" decisions/s, {100 * row['simulated_share']:.0f} % of it simulation"
    )
