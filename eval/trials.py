"""Variations of a scenario, each driven once: what became of them is kept in the store by their content.

Whatever chooses variations by how earlier ones went chooses the same ones again when it is asked again. So a search that was
interrupted comes back to where it stopped without driving anything twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from eval.arguments import Workers
from eval.configuration import configuration
from eval.criticality import FAR_M, margin
from eval.episode import Episode
from eval.evaluate import driven_by
from eval.executors import choose_executor
from eval.metrics.outcome import EventCounts
from eval.run import EpisodeResult, run_scenario
from eval.store import EpisodeSet, Row, Store, Value
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.schema import Tree, check
from sim.recording import Ending

_KEPT = ("completed", "timeout", "time_s", "mean_speed", "trace_hash", "error")
"""Fields of a result that are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One episode to drive: a concrete tree, and the seed for what else is drawn. number: of its round."""

    number: int
    tree: Tree
    file: str | None
    seed: int
    driver: str
    sensing: str

    @property
    def key(self) -> int:
        """Of its content, 63 bits: the same for the same tree and seed."""
        content = json.dumps([self.tree, self.seed], sort_keys=True)
        return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went. margin_m: the closest, see `eval.criticality`; impossible: why the scenario cannot be, if so."""

    margin_m: float
    result: EpisodeResult | None
    impossible: str = ""


class _Closest:
    """The least margin of an episode so far."""

    def __init__(self, ego: int) -> None:
        self._ego = ego
        self.margin_m = FAR_M

    def watch(self, episode: Episode) -> None:
        """Take the present tick in."""
        self.margin_m = min(self.margin_m, margin(episode.world, self._ego))


def drive_trial(trial: Trial) -> Outcome:
    """Drive one variation. A scenario that cannot be is an outcome; a driver that crashes is one too."""
    try:
        scenario = compile_scenario(check(trial.tree, file=trial.file), trial.seed)
    except InputError as error:
        return Outcome(margin_m=FAR_M, result=None, impossible=str(error))
    scenario = driven_by(replace(scenario, sensing=trial.sensing), trial.driver)
    closest = _Closest(scenario.ego or 0)
    result = run_scenario(scenario, watcher=closest)
    return Outcome(margin_m=0.0 if result.counts.collisions > 0 else closest.margin_m, result=result)


class Trials:
    """Drives variations of one target with one driver, but those that the store has. recalled: how many it had."""

    def __init__(self, store: Path, workers: Workers, target: str, settings: tuple[str, ...], driver: str, sensing: str) -> None:
        provenance: dict[str, Value] = dict(configuration(target, settings, driver, sensing, "trials"))
        self._key = hashlib.sha256(json.dumps(provenance, sort_keys=True).encode()).hexdigest()[:16]
        self._store = Store(store)
        self._store.open_set(EpisodeSet(key=self._key, suite=target, driver=driver, provenance=provenance))
        self._workers = workers
        self.recalled = 0

    def outcomes(self, trials: Sequence[Trial], advance: Callable[[], None]) -> list[Outcome]:
        """Of each trial, in their order; their numbers are 0, 1, 2, ...

        A trial whose process died has an outcome, too, but is not kept: that was perhaps the machine's fault.
        """
        keys = [trial.key for trial in trials]
        rows = self._store.rows(self._key, keys)
        done = {trial.number: _outcome(rows[key]) for trial, key in zip(trials, keys, strict=True) if key in rows}
        self.recalled += len(done)
        for _ in done:
            advance()
        missing = [trial for trial in trials if trial.number not in done]
        for one in choose_executor(self._workers, len(missing)).run(drive_trial, missing):
            if one.result is not None:
                self._store.add(self._key, keys[one.job.number], _row(one.result))
            done[one.job.number] = one.result or Outcome(margin_m=FAR_M, result=None, impossible=one.failure)
            advance()
        return [done[trial.number] for trial in trials]


def _row(outcome: Outcome) -> Row:
    row: dict[str, Value] = {"margin_m": outcome.margin_m, "impossible": outcome.impossible}
    result = outcome.result
    if result is None:
        return row
    more = {"ending": str(result.ending), "reasons": json.dumps(result.reasons), "counts": json.dumps(asdict(result.counts))}
    return row | more | {name: getattr(result, name) for name in _KEPT} | {"seed": result.seed}


def _outcome(row: Row) -> Outcome:
    result = None
    if "ending" in row:
        result = EpisodeResult(
            seed=int(row["seed"] or 0), ending=Ending(str(row["ending"])), reasons=tuple(json.loads(str(row["reasons"]))),
            counts=EventCounts(**json.loads(str(row["counts"]))), **{name: row[name] for name in _KEPT},  # type: ignore[arg-type]
        )  # fmt: skip
    return Outcome(margin_m=float(row["margin_m"] or 0.0), result=result, impossible=str(row["impossible"]))
