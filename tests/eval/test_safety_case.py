"""The safety case: what is there supports, what is not is missing, what is old is stale, what contradicts refutes, and both
documents say so."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest

from avstack.perception.detect import WEIGHTS
from eval.cli import execute
from eval.run import Job, run_episode
from eval.runs import Arm, provenance
from eval.safety_case import learned
from eval.safety_case.argument import Claim, Evidence, Nature, Status, gaps
from eval.safety_case.case import safety_case
from eval.safety_case.evidence import Dossier, Limit, against, judged, why_stale
from eval.safety_case.page import markdown, page
from eval.store import EpisodeSet, Row, Run, Store, Value
from eval.suites import suite_of

GOOD: Mapping[str, Value] = {
    "completed": True, "crashed": False, "at_fault": 0, "collisions": 0, "avoidable_collisions": 0.0, "cut_off_collisions": 0.0,
    "offroad": 0, "deadlocks": 0, "livelocks": False, "bullied": False, "crept_at_person_s": 0.0, "jerk_violations": 0.0,
    "stop_jerk_95": 1.2, "stop_decel": 1.6, "stop_decel_95": 1.6, "fallback_available": 1.0, "fallback_ticks": 100.0,
    "assumptions_broken": 0.1, "ending": "passed",
    "belief_bins": json.dumps([[0] * 9 + [50], [0.0] * 9 + [48.5], [0.0] * 9 + [48.0]]),
    "commitment_bins": json.dumps([[0] * 9 + [50], [0.0] * 9 + [48.5], [0.0] * 9 + [48.0]]),
}  # fmt: skip
FIRST = 5_000_000


@dataclass
class Shelf:
    """As `Store`, from memory."""

    made: list[Run] = field(default_factory=list)
    content: dict[str, dict[int, Row]] = field(default_factory=dict)

    def runs(self) -> list[Run]:
        return self.made

    def rows(self, key: str, seeds: Iterable[int]) -> dict[int, Row]:
        return self.content[key]

    def add(
        self, suite: str, driver: str = "joint", sensing: str = "objects", count: int = 3200, first: int = FIRST,
        changed: Mapping[str, Value] | None = None,
    ) -> Arm:  # fmt: skip
        """A run of `count` good episodes with some columns otherwise; `scenario` is the suite's first source."""
        chosen = suite_of(suite)
        seeds = tuple(range(first, first + count))
        key = f"{suite}-{driver}-{sensing}"
        self.content[key] = {
            seed: {**GOOD, "scenario": chosen.sources[seed % len(chosen.sources)], **(changed or {}), "seed": seed}
            for seed in seeds
        }
        made = provenance(json.dumps(asdict(chosen)), (driver,)) | {"commit": "abc"}
        run = Run(name=key, suite=suite, sensing=sensing, sets={driver: key}, seeds=seeds, provenance=made)
        self.made.append(run)
        return Arm(run=run, driver=driver, rows=self.content[key])


def dossier(shelf: Shelf, main: Arm) -> Dossier:
    return Dossier(shelf, main)  # type: ignore[arg-type]


def status(case: Claim, name: str) -> Status:
    return next(one.status for one in case.walk() if one.name == name)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_a_run_alone_leaves_the_rest_missing(shelf: Shelf):
    case = safety_case(dossier(shelf, shelf.add("chicken_tuning")))
    found = {one.name: one.status for one in case.walk()}
    assert found["G2.1"] is Status.SUPPORTED, "0 of 3,200 is at most 0.094 % at 95 %"
    assert found["G2.2"] is Status.SUPPORTED
    assert found["G3.1"] is Status.SUPPORTED
    assert found["G4.1"] is Status.SUPPORTED
    assert found["G5"] is Status.SUPPORTED
    assert found["G2.3"] is found["G3.4"] is found["G4.2"] is found["G6.1"] is found["G6.2"] is found["G7"] is Status.MISSING
    assert case.status in (Status.MISSING, Status.REFUTED), "the shipped perception is judged too"
    assert all(piece.fix for _, piece in gaps(case))
    assert any(piece.fix.startswith("avstack eval freezing --driver joint") for _, piece in gaps(case))


def test_fewer_episodes_support_nothing_and_say_how_many_would(shelf: Shelf):
    case = safety_case(dossier(shelf, shelf.add("chicken_tuning", count=200)))
    assert status(case, "G2.1") is Status.OPEN
    fix = next(piece.fix for name, piece in gaps(case) if name == "G2.1")
    assert fix == "About 2,795 more episodes like these", "2,995 without any: 0.95 = (1 - 0.001)^n"


@pytest.mark.parametrize(
    ("changed", "refuted"),
    [
        ({"at_fault": 1}, "G2.1"), ({"avoidable_collisions": 1.0}, "G2.1"), ({"offroad": 1}, "G2.2"),
        ({"completed": False}, "G2.2"),
        ({"fallback_available": 0.99}, "G4.1"), ({"jerk_violations": 0.2}, "G5"), ({"stop_jerk_95": 3.0}, "G5"),
        ({"belief_bins": json.dumps([[0] * 9 + [50], [0.0] * 9 + [48.5], [0.0] * 9 + [25.0]])}, "G3.1"),
    ],
)  # fmt: skip
def test_a_run_that_contradicts_a_claim_refutes_it(shelf: Shelf, changed: dict[str, Value], refuted: str):
    case = safety_case(dossier(shelf, shelf.add("chicken_tuning", changed=changed)))
    assert status(case, refuted) is Status.REFUTED
    assert status(case, refuted.partition(".")[0]) is Status.REFUTED
    assert case.status is Status.REFUTED


def test_other_runs_of_the_driver_are_drawn_on(shelf: Shelf):
    main = shelf.add("chicken_tuning")
    for suite in ("freezing", "copies", "late_car", "creep_person", "influence", "real_maps", "catalogue"):
        shelf.add(suite, count=600)
    shelf.add("bullying", driver="no_safety", count=800)
    shelf.add("chicken_tuning", driver="no_safety", count=50, changed={"fallback_available": 0.9})
    shelf.add("chicken_tuning", sensing="lidar")
    shelf.add("four_way_chicken", driver="rules")
    for family in ("four_way_stop", "debris"):
        shelf.add(family, count=40)
    case = safety_case(dossier(shelf, main))
    assert status(case, "G2") is Status.SUPPORTED
    assert status(case, "G3.4") is Status.SUPPORTED
    assert status(case, "G4") is Status.SUPPORTED
    assert status(case, "G6") is Status.SUPPORTED
    assert {name for name, _ in gaps(case)} <= {"G3.2", "G3.3", "G7"}


def test_the_control_of_the_fallback_must_be_lower(shelf: Shelf):
    main = shelf.add("chicken_tuning")
    shelf.add("chicken_tuning", driver="no_safety", count=50)
    assert status(safety_case(dossier(shelf, main)), "G4.2") is Status.REFUTED, "the episodes are too easy to tell"
    shelf.add("chicken_tuning", driver="no_safety", count=50, changed={"fallback_available": 0.999})
    assert status(safety_case(dossier(shelf, main)), "G4.2") is Status.OPEN, "five ticks do not tell"


def test_what_is_of_another_version_is_stale_whatever_it_says(shelf: Shelf):
    main = shelf.add("chicken_tuning", changed={"at_fault": 1})
    old = replace(main, run=replace(main.run, provenance={**main.run.provenance, "product": "0.0.1 abc"}))
    assert why_stale(main) == ""
    assert "avstack" in why_stale(old)
    case = safety_case(dossier(shelf, old))
    assert status(case, "G2.1") is status(case, "G2.2") is status(case, "G4.1") is Status.STALE
    for name in ("suite", "drivers"):
        other = replace(main, run=replace(main.run, provenance={**main.run.provenance, name: "{}"}))
        assert why_stale(other)


def test_what_was_interrupted_or_tuned_on_does_not_support(shelf: Shelf):
    main = shelf.add("chicken_tuning", first=0)
    short = replace(main, run=replace(main.run, seeds=(*main.run.seeds, 9_000_000)))
    case = safety_case(dossier(shelf, short))
    assert status(case, "G2.1") is Status.OPEN
    said = {piece.what: piece for one in case.walk() if one.name == "G7" for piece in one.evidence}
    assert said["nobody can have tuned on its seeds"].status is Status.OPEN
    assert said["the run is whole"].status is Status.OPEN
    dirty = replace(main, run=replace(main.run, provenance={**main.run.provenance, "commit": "abc+"}))
    pieces = {
        piece.what: piece for one in safety_case(dossier(shelf, dirty)).walk() if one.name == "G7" for piece in one.evidence
    }
    assert pieces["its sources are those of a commit"].status is Status.OPEN


def test_intervals_beside_limits():
    most, least = Limit(what="", column="", most=0.1), Limit(what="", column="", most=0.1, least=True)
    assert judged(0.0, 0.05, most) is judged(0.2, 0.3, least) is Status.SUPPORTED
    assert judged(0.05, 0.2, most) is judged(0.05, 0.2, least) is Status.OPEN
    assert judged(0.2, 0.3, most) is judged(0.0, 0.05, least) is Status.REFUTED
    assert against(None, most, "avstack eval x").status is Status.MISSING


def test_a_claim_is_as_good_as_the_worst_of_its_parts():
    def claim(*found: Status) -> Claim:
        return Claim(
            name="G", text="", nature=Nature.BOTH, evidence=tuple(Evidence(what="", found="", status=one) for one in found)
        )  # fmt: skip

    assert claim().status is Status.MISSING
    assert claim(Status.SUPPORTED, Status.OPEN).status is Status.OPEN
    whole = replace(claim(Status.SUPPORTED), parts=(claim(Status.STALE), claim(Status.REFUTED)))
    assert whole.status is Status.REFUTED


def test_the_learned_parts_are_judged_by_what_is_shipped(tmp_path: Path):
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    assert {piece.status for piece in learned.calibration(folder)} <= {Status.SUPPORTED, Status.OPEN, Status.REFUTED}
    report = json.loads((folder / learned.REPORT).read_text())
    for one in report["conditions"].values():
        one |= {"layered_miss": 0.0, "told_miss": 0.0, "must_go_around": 400, "d_ece": 0.9}
    (folder / learned.REPORT).write_text(json.dumps(report))
    assert {piece.status for piece in learned.misses(folder)} == {Status.SUPPORTED}, "0 of 400 is at most 0.75 %"
    assert Status.REFUTED in {piece.status for piece in learned.calibration(folder)}
    for one in report["conditions"].values():
        one |= {"told_miss": 0.05}
    (folder / learned.REPORT).write_text(json.dumps(report))
    assert {piece.status for piece in learned.misses(folder)} == {Status.SUPPORTED, Status.REFUTED}, "20 of 400 are too many"
    (folder / learned.REPORT).write_text(json.dumps(report | {"network": "another"}))
    assert {piece.status for piece in (*learned.misses(folder), *learned.calibration(folder))} == {Status.STALE}
    (folder / learned.REPORT).unlink()
    assert {piece.status for piece in (*learned.misses(folder), *learned.calibration(folder))} == {Status.MISSING}


def test_both_documents_say_everything(shelf: Shelf):
    found = dossier(shelf, shelf.add("chicken_tuning", changed={"at_fault": 1}))
    case = safety_case(found)
    text, site = markdown(case, found), page(case, found)
    assert "Refuted: the evidence contradicts a claim" in text
    assert text.index("Refuted") < text.index("| G1 |")
    assert not re.search(r"""(?:src|href)=(?!["']?(?:data:|#))|url\(|@import|https?://""", site), (
        "nothing is loaded from elsewhere"
    )
    for one in case.walk():
        assert one.text in text
        assert f'id="{one.name}"' in site
    assert "LEADER: Whoever drives ahead brakes by leader_brake" in text, "the assumptions are there"
    assert site.count("<section") == site.count("</section>") == sum(1 for _ in case.walk())
    assert "3200 of 3200 [99.9 %, 100 %], limit ≤ 0.1 %" in text
    assert "inf" not in re.findall(r"[a-z]+", text), "what is only counted has no limit"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two real episodes of the built-in driver."""
    path = tmp_path_factory.mktemp("case") / "results.sqlite"
    suite = suite_of("four_way_chicken")
    made = provenance(json.dumps(asdict(suite)), ("rules",))
    kept = Store(path)
    kept.open_set(EpisodeSet(key="k", suite="four_way_chicken", driver="rules", provenance={}))
    for seed in (FIRST, FIRST + 1):
        ran = run_episode(Job(target="four_way_chicken", seed=seed, driver="rules", sensing="state"))
        hashed = ran.trace_hash if seed == FIRST else "0" * 32
        kept.add("k", seed, {**GOOD, "seed": seed, "trace_hash": hashed})
    kept.open_run(
        Run(
            name="real", suite="four_way_chicken", sensing="state", sets={"rules": "k"}, seeds=(FIRST, FIRST + 1), provenance=made
        )
    )  # fmt: skip
    return path


@pytest.mark.parametrize(("count", "expected"), [(0, "? missing"), (1, "✓ supported"), (2, "✗ refuted")])
def test_episodes_are_driven_again(store: Path, tmp_path: Path, count: int, expected: str):
    out = tmp_path / "case.md"
    execute(["safety-case", "real", "--store", str(store), "-o", str(out), "--verify", str(count)])
    line = next(line for line in out.read_text().splitlines() if line.startswith("| episodes come out the same"))
    assert expected in line


def test_bad_names_are_bad_input(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments, said in (
        (["rael"], "did you mean 'real'"), (["real:joint"], "has no driver 'joint'"),
        (["real", "-o", str(tmp_path / "a.pdf")], ".html"),
        (["real", "--store", str(tmp_path / "none")], "no result store"),
    ):  # fmt: skip
        assert execute(["safety-case", *(["--store", str(store)] if "--store" not in arguments else []), *arguments]) == 2
        assert said in capsys.readouterr().err
