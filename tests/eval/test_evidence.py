"""The whole evidence: every part is a command that there is, what is finished stays, and targets can be missed."""

import json
from typing import Any

import pytest

import eval.evidence.plan as plan
from eval.cli import program
from eval.drivers import DRIVERS
from eval.errors import ExitCode
from eval.evidence.plan import PARTS, Part, parts_of
from eval.evidence.run import Order, frozen_seed, gather, write_page
from eval.evidence.table import TARGETS, Target, evidence_table, look_up
from eval.figures import CALIBRATIONS, MEANS, QUANTILES, RATES, RATIOS
from eval.heldout import DRIVERS as HELD_OUT
from eval.heldout import MAPS
from eval.suites import SUITES
from eval.tables import render
from scenarios.catalogue import FAMILIES
from scenarios.errors import InputError

FIGURES = {*RATES, *MEANS, *RATIOS, *QUANTILES, *CALIBRATIONS, "regret", "influence_predicted", "influence_observed"}


def parsed(part, **changes):
    """The parameters of the command that a part is."""
    command: Any
    command, words = program, part.arguments(5, 0.1, **({"tuning": False} | changes))
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command.make_context("part", list(words)).params


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_part_is_a_command_on_what_there_is(part):
    found = parsed(part)
    if not part.seeded:
        return
    assert found["seeds"].startswith("5..")
    assert found.get("suite", "chicken") in {*SUITES, *FAMILIES}
    assert {*found.get("drivers", ()), found.get("versus") or "joint"} <= DRIVERS.keys()


def test_a_rehearsal_runs_nothing_that_is_kept_for_reports():
    for part in parts_of((), tuning=True):
        found = parsed(part, tuning=True)
        suite = SUITES.get(found.get("suite", ""))
        assert not found.get("held_out")
        assert suite is None or not {*suite.others} & {*HELD_OUT}
        assert suite is None or not any(name in source for source in suite.sources for name in MAPS)
    assert any("chicken" in part.command and part.held_out for part in PARTS), "something is kept for reports"


def test_a_share_of_the_episodes_is_at_least_one():
    assert PARTS[2].arguments(7, 0.001, tuning=False)[-1] == "7..9"
    assert PARTS[2].arguments(7, 1e-9, tuning=False)[-1] == "7..7"


def test_targets_are_about_figures_of_parts():
    names = {part.name for part in PARTS}
    for target in TARGETS:
        assert target.part in names
        assert target.keys[0] != "drivers" or target.keys[2] in FIGURES, target.what


def test_a_target_can_be_met_and_missed():
    rate = {"rate": 0.02, "low": 0.0, "high": 0.07}
    assert Target(what="", part="", keys=(), limit=0.01, bound="rate").met(rate) is False
    assert Target(what="", part="", keys=(), limit=0.03, bound="rate").met(rate) is True
    assert Target(what="", part="", keys=(), limit=10.0, least=True).met(11.4) is True
    assert Target(what="", part="", keys=(), limit=0.0, least=True, bound="low").met({"value": 1.0, "low": -0.1}) is False
    assert Target(what="", part="", keys=()).met(rate) is None
    target = next(target for target in TARGETS if target.keys == ("drivers", "joint", "regret"))
    results = {"regret": {"drivers": {"joint": {"regret": {"value": 1.5, "low": 1.0, "high": 2.0, "episodes": 9}}}}}
    assert look_up(results, target) == results["regret"]["drivers"]["joint"]["regret"]
    line = next(line for line in render(evidence_table(results)).splitlines() if "regret [s]" in line)
    assert "1.5 [1, 2]" in line
    assert "NO" in line
    assert "regret [s]" in line
    nothing = [line for line in render(evidence_table({})).splitlines() if "real-time factor  " in line or "worst" in line]
    assert len(nothing) == 2
    assert not any("yes" in line or "NO" in line for line in nothing), "what was not run meets no target, and misses none"


@pytest.fixture
def small(monkeypatch):
    part = Part(name="chicken", command="eval four_way_stop --driver rules --sensing state --seeds {2}")
    monkeypatch.setattr(plan, "PARTS", (part,))


def test_evidence_goes_on_where_its_time_was_up(small, tmp_path):
    folder = tmp_path / "evidence"
    assert gather(Order(folder=folder, first_seed=3, hours=0.0, workers=1)) is ExitCode.INTERRUPTED
    assert not (folder / "chicken.json").exists()
    assert gather(Order(folder=folder, first_seed=3, workers=1)) is ExitCode.OK
    rows = json.loads((folder / "chicken.json").read_text())["drivers"]["rules"]["rows"]
    assert [row["seed"] for row in rows] == [3, 4]
    before = (folder / "chicken.json").stat().st_mtime_ns
    assert gather(Order(folder=folder, first_seed=3, workers=1)) is ExitCode.OK
    assert (folder / "chicken.json").stat().st_mtime_ns == before, "what is finished is not run again"
    with pytest.raises(InputError, match="other evidence"):
        gather(Order(folder=folder, first_seed=4, workers=1))


@pytest.mark.parametrize("hours", [-1.0, float("nan")])
def test_no_time_is_an_error_before_anything_is_written(small, tmp_path, hours):
    with pytest.raises(InputError, match="0 h or more"):
        gather(Order(folder=tmp_path / "evidence", first_seed=3, hours=hours, workers=1))
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"first_seed": "x"}'])
def test_a_folder_that_does_not_say_what_it_is_the_evidence_of_is_refused(small, tmp_path, text):
    (tmp_path / "evidence.json").write_text(text)
    with pytest.raises(InputError, match="evidence of"):
        frozen_seed(tmp_path)
    with pytest.raises(InputError, match="evidence of"):
        gather(Order(folder=tmp_path, first_seed=3, workers=1))
    assert (tmp_path / "evidence.json").read_text() == text


def test_a_part_that_fails_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(plan, "PARTS", (Part(name="chicken", command="eval no_such_suite --seeds {2}"),))
    assert gather(Order(folder=tmp_path / "evidence", first_seed=0, workers=1)) is ExitCode.CRITERIA_FAILED
    assert "failed: chicken" in capsys.readouterr().err


def test_the_page_says_what_was_found_and_what_was_not_run(monkeypatch, tmp_path):
    eval_part = Part(name="chicken", command="eval smoke --driver rules --driver idm --versus idm --sensing state --seeds {4}")
    monkeypatch.setattr(plan, "PARTS", (eval_part, Part(name="debris", command="eval debris --seeds {2}")))
    folder, page = tmp_path / "evidence", tmp_path / "docs" / "results.md"
    gather(Order(folder=folder, first_seed=3, workers=1, parts=("chicken",)))
    assert write_page(folder, page) is ExitCode.OK
    text = page.read_text()
    assert "seeds from 3 on" in text
    assert "avstack eval smoke --driver rules --driver idm --versus idm --sensing state --seeds 3..6" in text
    assert "Not run: `debris`" in text
    assert "| completed | 100.00 % [" in text
    assert "**rules less idm, same episodes**" in text
    assert "rehearsal" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


def test_a_page_of_a_matched_risk_part_reads_what_json_holds(tmp_path):
    """JSON has no tuples: the risks in common must be found in lists."""
    estimate = {"value": 0.2, "low": 0.1, "high": 0.3, "episodes": 9}
    savings = {"saved": estimate, "saved_s": estimate, "saved_least": estimate, "common_risk": [0.0, 0.05], "nearest_risks": None}
    curve = [{"assertiveness": 0.5, "risk": 0.01, "low": 0.0, "high": 0.1, "ego_delay_s": 6.5}]
    nowhere = savings | {"common_risk": None, "nearest_risks": [0.2, 0.1]}
    result = {
        "suite": "chicken_negotiator", "episodes": 9, "driver": "joint", "against": "marginal", **savings,
        "curves": {"joint": curve, "marginal": curve}, "looser": {"2": nowhere}, "same_assertiveness": None,
    }  # fmt: skip
    (tmp_path / "evidence.json").write_text(json.dumps({"first_seed": 3, "share": 0.5, "tuning": False, "commit": "abc123"}))
    (tmp_path / "risk.json").write_text(json.dumps(result))
    write_page(tmp_path, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "A rehearsal" in text
    assert "commit `abc123`" in text
    assert "(risk 0.00 to 5.00 %)" in text
    assert "(no risk in common: 20.00 % against 10.00 %)" in text


def test_a_page_that_is_a_folder_is_an_error_and_leaves_nothing(tmp_path):
    page = tmp_path / "page"
    page.mkdir()
    (tmp_path / "evidence.json").write_text('{"first_seed": 3}')
    with pytest.raises(InputError, match="is a folder"):
        write_page(tmp_path, page)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["evidence.json", "page"]


def test_a_page_of_nothing_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no evidence"):
        write_page(tmp_path, tmp_path / "page.md")
    assert not (tmp_path / "page.md").exists()


def test_unknown_parts_are_refused():
    with pytest.raises(InputError, match="no part"):
        parts_of(("chickens",), tuning=False)
    with pytest.raises(InputError, match="no part"):
        parts_of(("bluffers",), tuning=True)
