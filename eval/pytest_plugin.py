"""pytest collects `*.scenario.yaml`: one test for each seed, figures as properties in JUnit, failures as one would tell them.

Loaded by pytest through the entry point `avstack`; it does nothing, and imports nothing that costs time, until there is such a
file. Exit codes are pytest's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from eval.run import EpisodeResult, Job

SUFFIX = ".scenario.yaml"
SEEDS = "0..4"
_OPTIONS = (
    ("driver", "who drives ego: a name, package.module:Class or file.py:Class; the scenario's unless given"),
    ("sensing", "what drivers are given: state, objects or lidar; the scenario's unless given"),
    ("seeds", f"seeds of each scenario: 3, 0..99 or 1,5,7; {SEEDS} unless given"),
    ("time_limit", "wall-clock limit of an episode in seconds"),
    ("out", "folder that keeps a recording of every episode"),
)
_ERROR_LINES = 12


class ScenarioFailedError(Exception):
    """An episode that did not pass, in words."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """--avstack-NAME on the command line, avstack_NAME in the ini file."""
    group = parser.getgroup("avstack", f"driving scenarios ({SUFFIX})")
    for name, words in _OPTIONS:
        flag = f"--avstack-{name.replace('_', '-')}"
        group.addoption(flag, dest=f"avstack_{name}", default=None, metavar=name.upper(), help=words)
        parser.addini(f"avstack_{name}", words, default="")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """A scenario file as a collection of tests."""
    if not file_path.name.endswith(SUFFIX):
        return None
    made: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return made


class ScenarioFile(pytest.File):
    """One file; its tests are its seeds."""

    def collect(self) -> Iterator[ScenarioSeed]:
        """A test a seed. CollectError for a file, a driver or an option that makes no sense, with the place and the fix."""
        from eval.arguments import parse_seeds
        from eval.drivers import load_driver
        from eval.run import check_sensing
        from scenarios.errors import InputError
        from scenarios.resolve import resolve

        driver, sensing = _option(self.config, "driver"), _option(self.config, "sensing")
        try:
            spec = resolve(str(self.path))
            seeds = parse_seeds(_option(self.config, "seeds") or SEEDS)
            _time_limit(self.config)
            if driver:
                load_driver(driver)
            if sensing:
                check_sensing(sensing)
        except InputError as error:
            raise self.CollectError(str(error)) from None
        for seed in seeds:
            item: ScenarioSeed = ScenarioSeed.from_parent(self, name=f"seed-{seed}", seed=seed)
            item.extra_keyword_matches.update((spec.name, *spec.tags))
            yield item


class ScenarioSeed(pytest.Item):
    """One episode."""

    def __init__(self, *, seed: int, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self._seed = seed

    def runtest(self) -> None:
        """Drive it; ScenarioFailedError unless it meets its criteria."""
        import tempfile

        from eval.run import run_episode

        kept = _option(self.config, "out")
        with tempfile.TemporaryDirectory(prefix="avstack-") as passing:
            folder = Path(kept) if kept else Path(passing)
            folder.mkdir(parents=True, exist_ok=True)
            job = self._job(folder)
            result = run_episode(job)
            self.user_properties += _figures(result)
            if not result.passed:
                raise ScenarioFailedError(_told(result, job, self._shown(), kept=bool(kept)))

    def _job(self, out: Path) -> Job:
        from eval.run import Job

        return Job(
            target=str(self.path), seed=self._seed, driver=_option(self.config, "driver") or None,
            sensing=_option(self.config, "sensing") or None, out=out, record="arrays", time_limit_s=_time_limit(self.config),
        )  # fmt: skip

    def _shown(self) -> str:
        """Its file as one would type it where pytest was called."""
        here = self.config.invocation_params.dir
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """What went wrong in the episode, without our own frames."""
        from scenarios.errors import InputError

        if isinstance(excinfo.value, (ScenarioFailedError, InputError)):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is, and what it is called."""
        return self.path, None, f"{self.path.name}: seed {self._seed}"


def _option(config: pytest.Config, name: str) -> str:
    """From the command line, or else from the ini file."""
    given = config.getoption(f"avstack_{name}")
    return str(given if given is not None else config.getini(f"avstack_{name}")).strip()


def _time_limit(config: pytest.Config) -> float | None:
    from scenarios.errors import InputError

    text = _option(config, "time_limit")
    if not text:
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0.0 < limit < 1e9:
        raise InputError(f"the time limit must be a positive number of seconds, got {text!r}", fix="Use 60, for example")
    return limit


def _figures(result: EpisodeResult) -> list[tuple[str, object]]:
    """Properties of the test: how the episode ended, what happened in it, and every metric that a recording alone gives."""
    from dataclasses import asdict

    from eval.metrics.registry import measure
    from eval.metrics.result import References
    from sim.recording import read_recording

    found: list[tuple[str, object]] = [
        ("ending", str(result.ending)), ("completed", result.completed), ("time_s", result.time_s),
        ("mean_speed", result.mean_speed), *asdict(result.counts).items(), ("trace_hash", result.trace_hash),
    ]  # fmt: skip
    if result.recording is not None:
        measured = measure(read_recording(Path(result.recording)), References())
        found += [(name, round(figure.value, 6)) for name, figure in measured.items() if figure.valid]
    return found


def _told(result: EpisodeResult, job: Job, target: str, *, kept: bool) -> str:
    """A failure as one would tell it, and how to see it again."""
    from sim.recording import read_recording

    asked = "".join(f" --{name} {value}" for name, value in (("driver", job.driver), ("sensing", job.sensing)) if value)
    counts = ", ".join(
        f"{name.replace('_', ' ')}: {number}"
        for name, number in (
            ("collisions", result.counts.collisions), ("at_fault", result.counts.at_fault), ("off_road", result.counts.offroad),
            ("deadlocks", result.counts.deadlocks),
        )
        if number
    )  # fmt: skip
    lines = [
        f"{Path(job.target).name}, seed {job.seed}: {'; '.join(result.reasons) or result.ending}",
        f"  {'goal reached' if result.completed else 'goal not reached'} after {result.time_s:.1f} s"
        f" at {result.mean_speed:.1f} m/s{', ' + counts if counts else ''}; trace {result.trace_hash[:12]}",
        f"  again: avstack run {target} --seeds {job.seed}{asked}",
        f"  watch: avstack view {target} --seed {job.seed}{asked}",
    ]
    if result.recording is not None:
        error = read_recording(Path(result.recording)).footer.error.rstrip()
        if error:
            lines += ["", *error.splitlines()[-_ERROR_LINES:]]
        if kept:
            lines.insert(2, f"  recording: {result.recording}")
    return "\n".join(lines)
