"""The comparison with highway-env: its arithmetic, and what happens where it cannot be installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.bench import highway
from eval.bench.highway import HighwayUnavailableError, measure_highway


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AVSTACK_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_rates_count_every_frame_of_every_vehicle(cache, monkeypatch):
    sums = {"cpu_s": 2.0, "policy_steps": 10, "vehicle_policy_steps": 80, "policy_hz": 1, "simulation_hz": 15}
    monkeypatch.setattr(highway, "_interpreter", lambda folder: Path("python"))
    monkeypatch.setattr(highway, "_run", lambda *_: "a word of somebody else's\n" + json.dumps(sums))
    result = measure_highway(2.0)
    assert result["vehicles"] == 8.0
    assert result["vehicle_seconds_per_cpu_s"] == 40.0
    assert result["vehicle_ticks_per_cpu_s"] == 600.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_duration_must_be_positive_and_finite(seconds):
    with pytest.raises(ValueError, match="seconds must be positive and finite"):
        measure_highway(seconds)


def test_an_unwritable_cache_is_named(cache, monkeypatch):
    (cache / "file").write_text("")
    monkeypatch.setenv("AVSTACK_CACHE_DIR", str(cache / "file"))
    with pytest.raises(HighwayUnavailableError, match="AVSTACK_CACHE_DIR"):
        measure_highway(1.0)


def test_without_a_package_index_it_says_so_and_leaves_nothing(cache, monkeypatch):
    monkeypatch.setattr("eval.bench.highway.venv.create", lambda folder, with_pip: folder.mkdir(parents=True))
    monkeypatch.setattr(highway, "_run", _failing_install)
    with pytest.raises(HighwayUnavailableError, match="no index"):
        measure_highway(1.0)
    assert not any(path.is_dir() for path in (cache / "avstack" / "environments").iterdir())


def _failing_install(*_: object) -> str:
    raise HighwayUnavailableError("could not install: no index")


@pytest.mark.slow
def test_pip_s_own_words_are_passed_on(cache, monkeypatch):
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(HighwayUnavailableError, match=r"could not install highway-env==.*No matching distribution"):
        measure_highway(1.0)
