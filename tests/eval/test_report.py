"""`avstack report`: one file, the verdict first, the worst episodes to watch; and a real browser finds nothing wrong with it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eval.cli import program
from eval.report.build import fitted
from eval.report.page import page, weight
from eval.report.plots import histogram, reliability, trace
from eval.report.replays import Replay, thinned, worst
from eval.runs import Arm
from eval.store import Row, Run, Value
from scenarios.errors import InputError


def call(*arguments: object) -> None:
    result = CliRunner().invoke(program, [str(word) for word in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with a small run, and its report."""
    folder = tmp_path_factory.mktemp("report")
    store, out = folder / "results.sqlite", folder / "report.html"
    call(
        "eval", "chicken_negotiator", "--driver", "joint", "--no-regret", "--sensing", "state", "--seeds", "2,3",
        "--workers", "1", "--store", store, "--run", "small",
    )  # fmt: skip
    call("report", "small", "-o", out, "--store", store, "--replays", "2")
    return store, out


def replays_in(text: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id=replays>(.*?)</script>', text, re.S)
    assert found is not None
    parsed: list[dict[str, Any]] = json.loads(found[1])
    return parsed


def test_the_report_is_one_file_with_the_verdict_first(made: tuple[Path, Path]):
    text = made[1].read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=(?!["']?data:)|url\(|@import|https?://""", text), "nothing is loaded from elsewhere"
    assert text.index("No at-fault collision, no crash") < text.index("<table>")
    assert "no at-fault collisions in 2 episodes (at most 78 % of episodes at 95 %)" in text
    assert text.count("bit for bit the episode of the run") == 2
    assert len(replays_in(text)) == 2


def test_replays_hold_what_happened(made: tuple[Path, Path]):
    for episode in replays_in(made[1].read_text(encoding="utf-8")):
        ego = next(actor for actor in episode["actors"] if actor["ego"])
        speeds = np.cumsum(ego["v"]) / 100.0
        moved = np.hypot(np.diff(np.cumsum(ego["x"])), np.diff(np.cumsum(ego["y"]))) / 100.0
        assert len(moved) > 50
        assert np.abs(moved / episode["tick"] - speeds[1:]).max() < 2.0, "places and speeds are of one drive"
        assert episode["beliefs"]
        assert all(0 <= chance <= 100 for _, claims in episode["beliefs"] for _, chance in claims)
        assert episode["plans"]
        corner_free = np.cumsum(np.array(episode["plans"][0][1:3]), axis=1)[:, 0] / 10.0
        at = episode["plans"][0][0] - ego["from"]
        here = np.array([np.cumsum(ego["x"])[at], np.cumsum(ego["y"])[at]]) / 100.0
        assert np.hypot(*(corner_free - here)) < 1.0, "the plan begins at ego"
        assert len(episode["percepts"]) > 30
        for when, things in episode["percepts"]:
            for x, y, major, minor, _, trust, kind in things:
                assert major >= minor >= 0
                assert 0 <= trust <= 100
                assert kind in (0, 1, 2, 3)
                gaps = [
                    np.hypot(np.cumsum(one["x"])[k] / 100 - x / 10, np.cumsum(one["y"])[k] / 100 - y / 10)
                    for one in episode["actors"]
                    if 0 <= (k := when - one["from"]) < len(one["x"])
                ]
                assert min(gaps) < 0.2, "at the state level percepts are where others are"
        assert episode["futures"]
        for _, joint in episode["futures"]:
            assert sum(share for share, *_ in joint) <= 102
            assert len({len(ways) for _, *ways in joint}) == 1
        assert all(words for _, words in episode["reasons"])
        assert episode["map"]["stops"]


def test_the_worst_come_first():
    fine: dict[str, Value] = {"seed": 0, "completed": True, "min_pet": 4.0, "ego_delay": 5.0}
    rows: list[Row] = [
        fine, fine | {"seed": 1, "ego_delay": 9.0}, fine | {"seed": 2, "min_pet": 0.4, "close_call": True},
        fine | {"seed": 3, "completed": False}, fine | {"seed": 4, "collisions": 1},
        fine | {"seed": 5, "collisions": 1, "at_fault": 1},
        fine | {"seed": 6, "crashed": True, "completed": None},
    ]  # fmt: skip
    found = worst(rows, 6)
    assert [row["seed"] for row, _ in found] == [6, 5, 4, 3, 2, 1]
    assert [why for _, why in found[1:]] == [
        "at-fault collision", "collision", "goal not reached", "a close call: 0.4 s", "delay of 9.0 s",
    ]  # fmt: skip


def test_a_bad_run_says_so(made: tuple[Path, Path]):
    run = Run(name="bad", suite="chicken", sensing="state", sets={"joint": "a"}, seeds=tuple(range(200)), provenance={})
    rows = {
        k: {"seed": k, "completed": k > 3, "at_fault": int(k < 2), "crashed": False, "ego_delay": 0.1 * k} for k in range(200)
    }
    arm = Arm(run=run, driver="joint", rows=rows)
    data = replays_in(made[1].read_text(encoding="utf-8"))
    time_s = np.arange(300) / 10.0
    replays = [
        Replay(seed=k, why="<script>", same=False, data=data[k % 2], time_s=time_s, speed=time_s, jerk=time_s) for k in range(6)
    ]
    text = page([arm], arm, replays, None)
    assert 'class="verdict bad"' in text
    assert "2 at-fault collisions in 200 episodes" in text
    assert "seed 0: &lt;script&gt;" in text
    assert text.count("it came out otherwise") == 6
    assert len(text.encode()) < 2_000_000


def test_plots_leave_out_what_is_not_there():
    assert reliability("a", np.zeros((3, 10))) == ""
    assert histogram("a", "s", np.zeros(1)) == ""
    assert trace("a", "s", np.zeros(1), np.zeros(1)) == ""
    assert "<rect" in histogram("a", "s", np.full(5, 2.0)), "equal values are one bar"


def test_bad_names_are_bad_input(made: tuple[Path, Path], tmp_path: Path):
    with pytest.raises(InputError, match="no run 'smal'; did you mean 'small'"):
        call("report", "smal", "--store", made[0], "-o", tmp_path / "a.html")
    with pytest.raises(InputError, match=r"End its name in \.html"):
        call("report", "small", "--store", made[0], "-o", tmp_path / "a.pdf")


@pytest.mark.chromium
def test_a_browser_plays_it_without_an_error(made: tuple[Path, Path]):
    driver = pytest.importorskip("playwright.sync_api", reason="needs the extra 'browser'")
    chromium = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("needs a Chromium browser on PATH")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else errors.append(request.url))
        tab.goto(made[1].as_uri())
        still = tab.evaluate("document.getElementById('stage').toDataURL()")
        began = float(tab.inner_text("#clock").split()[0])
        for _ in range(12):
            tab.keyboard.press("Shift+ArrowRight")
        assert float(tab.inner_text("#clock").split()[0]) == pytest.approx(began + 12.0)
        assert tab.evaluate("document.getElementById('stage').toDataURL()") != still
        assert "m/s" in tab.inner_text("#now")
        tab.keyboard.press("n")
        assert tab.get_attribute(".picks button:nth-child(2)", "aria-pressed") == "true"
        tab.keyboard.press("]")
        tab.keyboard.press("Space")
        tab.wait_for_function("parseFloat(document.getElementById('clock').textContent) > 0.5")
        tab.fill("#scrub", "70")
        assert tab.inner_text("#clock") == "7.0 s"
        for layer, key in (("percepts", "e"), ("futures", "j")):
            drawn = tab.evaluate("document.getElementById('stage').toDataURL()")
            tab.keyboard.press(key)
            assert tab.get_attribute(f"#{layer}", "aria-pressed") == "false"
            assert tab.evaluate("document.getElementById('stage').toDataURL()") != drawn, layer
            tab.click(f"#{layer}")
            assert tab.evaluate("document.getElementById('stage').toDataURL()") == drawn
        for key in ("f", "+", "-", "0", "Home", "End", "p", "["):
            tab.keyboard.press(key)
        browser.close()
    assert errors == []


def test_a_page_has_room_for_so_much(made: tuple[Path, Path]):
    still, data = np.arange(3.0), replays_in(made[1].read_text(encoding="utf-8"))[0]
    one = Replay(seed=2, why="", same=True, data=data, time_s=still, speed=still, jerk=still)
    whole, half = (weight(thinned(one, times)) for times in (1, 2))
    assert half < 0.8 * whole
    assert [replay.data["every"] for replay in fitted([one] * 3, 3 * whole)] == [1, 1, 1]
    assert [replay.data["every"] for replay in fitted([one] * 3, 3 * whole - 1)] == [2, 2, 2]
    few = fitted([one] * 40, 3 * whole)
    assert 3 < len(few) < 40
    assert sum(map(weight, few)) <= 3 * whole
    assert [replay.data["every"] for replay in few] == [4] * len(few)
    assert thinned(one, 4).data["actors"] == one.data["actors"], "everybody's motion stays whole"
    assert len(fitted([one], 0)) == 1


def test_a_report_stays_small(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usual = len(made[1].read_bytes())
    monkeypatch.setattr("eval.report.build.MOST_BYTES", usual - 50_000)
    out = tmp_path / "small.html"
    call("report", "small", "-o", out, "--store", made[0], "--replays", "2")
    assert len(out.read_bytes()) <= usual - 50_000
    assert {episode["every"] for episode in replays_in(out.read_text())} <= {2, 4}
