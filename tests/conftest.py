"""Fixtures and settings shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# pygame reads these when it is first imported; no test may look for a screen or a sound card.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

# The first call of a kernel compiles it, so deadlines would measure the compiler; the examples are the same in every run.
settings.register_profile(
    "avstack", derandomize=True, deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("avstack")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real maps and recordings, named by the environment variable AVSTACK_DATA."""
    named = os.environ.get("AVSTACK_DATA")
    if not named:
        pytest.skip("AVSTACK_DATA is not set: it names the folder of real maps and recordings")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"AVSTACK_DATA={named} is not a folder; point it at the real maps, or unset it to skip these tests")
    return folder
