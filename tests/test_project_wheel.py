"""A built wheel works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("avstack", "sim", "scenarios", "eval")

pytestmark = pytest.mark.slow


def run(*arguments: str, folder: Path, **environment: str) -> str:
    """Standard output of this Python with `arguments`, run in `folder`."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder), str(ROOT), folder=folder
    )
    (built,) = folder.glob("avstack_sim-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Folder that holds the installed wheel and nothing else."""
    target = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel), folder=target)
    return target


def test_it_holds_every_file_of_the_four_packages_and_no_more(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == source


def test_it_imports_from_where_it_was_installed(installed, tmp_path):
    script = (
        "import avstack, sim, scenarios, eval.cli; print(*(m.__file__ for m in (avstack, sim, scenarios, eval.cli)), sep='\\n')"
    )
    for file in run("-c", script, folder=tmp_path, PYTHONPATH=str(installed)).splitlines():
        assert Path(file).is_relative_to(installed)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["schema"], ["run", "four_way_stop", "--out", "recordings", "--picture", "p.png"]],
    ids=" ".join,
)
def test_the_command_line_works_outside_the_checkout(installed, tmp_path, arguments):
    script = installed / "bin" / "avstack"
    assert run(str(script), *arguments, folder=tmp_path, PYTHONPATH=str(installed))
    if arguments[0] == "run":
        assert (tmp_path / "p.png").stat().st_size > 1000
        assert any((tmp_path / "recordings").iterdir())
