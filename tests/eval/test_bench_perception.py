"""The bench of perception: its stages are those of a frame, and it leaves what it timed as it was."""

import pytest

from eval.bench import perception
from eval.bench.perception import OF_DETECTOR, STAGES, format_bench, run_bench

pytest.importorskip("torch")


def test_stages_are_parts_of_a_frame_and_nothing_stays_watched(monkeypatch):
    monkeypatch.setattr(perception, "DRIVEN_S", 3.0)
    monkeypatch.setattr(perception, "LOOP_AGENTS", 4)
    before = {name: getattr(module, function) for name, (module, function) in STAGES.items()}
    figures = run_bench()
    assert {name: getattr(module, function) for name, (module, function) in STAGES.items()} == before
    assert all(value > 0.0 for value in figures.values())
    parts = [name for name in STAGES if name != "frame_ms"]
    assert set(OF_DETECTOR) < set(parts)
    together = sum(figures[name] for name in parts) + figures["network_ms"]
    assert 0.7 * figures["frame_ms"] < together < 1.3 * figures["frame_ms"]
    assert f"{figures['frame_ms']:,}" in format_bench(figures)
