"""Where compiled kernels are kept: keyed on the sources they depend on, and never a reason to fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import sim.jit
import sim.parts

SCRIPT = """
import pathlib, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import sim.outer
print(sim.jit.cache_folder(pathlib.Path(sim.outer.__file__).resolve()))
print(sim.outer.outer(3.0))
print(len([w for w in caught if "AVSTACK_CACHE_DIR" in str(w.message)]))
"""
INNER = """
from sim.jit import kernel
@kernel
def inner(x: float) -> float:
    return 2.0 * x
"""
OUTER = """
import sim.jit
from sim.jit import kernel
from sim.inner import inner
@kernel
def outer(x: float) -> float:
    return inner(x) + 1.0
"""


def run(sources: Path, **environment: str) -> list[str]:
    """Lines printed by a fresh interpreter that imports `sim` from `sources`."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("AVSTACK_CACHE_DIR", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**inherited, "PYTHONPATH": str(sources), **environment}, cwd=sources, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Two small kernels in files of their own, one calling the other, beside copies of the real `sim.jit` and `sim.parts`."""
    folder = tmp_path / "sources" / "sim"
    folder.mkdir(parents=True)
    for module in (sim.jit, sim.parts):
        shutil.copy(str(module.__file__), folder)
    for name, text in (("__init__.py", ""), ("inner.py", INNER), ("outer.py", OUTER)):
        (folder / name).write_text(text)
    return folder.parent


def compiled(folder: Path) -> set[Path]:
    return set(folder.rglob("*.nbc"))


def test_kernels_are_cached_in_the_chosen_folder_and_read_back(sources, tmp_path):
    home = tmp_path / "cache"
    folder, first, _ = run(sources, AVSTACK_CACHE_DIR=str(home))
    assert Path(folder).is_relative_to(home)
    kept = {path: path.stat().st_mtime_ns for path in compiled(home)}
    assert kept
    assert run(sources, AVSTACK_CACHE_DIR=str(home))[1] == first
    assert {path: path.stat().st_mtime_ns for path in compiled(home)} == kept, "the second start compiled nothing"


@pytest.mark.parametrize(("file", "old", "new"), [("outer.py", "+ 1.0", "+ 2.0"), ("inner.py", "2.0 *", "3.0 *")])
def test_an_edited_source_is_compiled_anew(sources, tmp_path, file, old, new):
    """The callee's file counts too: numba itself looks only at the caller's."""
    home = str(tmp_path / "cache")
    before, value, _ = run(sources, AVSTACK_CACHE_DIR=home)
    edited = sources / "sim" / file
    edited.write_text(edited.read_text().replace(old, new))
    after, changed, _ = run(sources, AVSTACK_CACHE_DIR=home)
    assert after != before
    assert float(value) == 7.0
    assert float(changed) == (8.0 if file == "outer.py" else 10.0)


def parsed_imports(path: Path) -> set[Path]:
    """What `imported_files` should find, by Python's own parser."""
    root = Path(sim.jit.__file__).parents[1]
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    places = [root.joinpath(*module.split(".")) for module in modules if module.split(".")[0] in ("sim", "avstack")]
    files = {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")}
    return {file for file in files if file.is_file()}


def test_no_import_is_overlooked():
    root = Path(sim.jit.__file__).parents[1]
    for path in [*root.joinpath("sim").rglob("*.py"), *root.joinpath("avstack").rglob("*.py")]:
        assert sim.jit.imported_files(path) == parsed_imports(path), path


@pytest.mark.parametrize(
    "text",
    [
        "from sim.rng import uniform\nfrom sim.interface import Floats\n@kernel\ndef f(): ...",
        "from sim.rng import (\n    uniform,  # a comment, with a comma\n    normal as n,\n)\nimport sim.interface as i",
        "from sim import rng, interface  # both",
        "def f():\n    from sim.rng import uniform\n    import sim.interface",
    ],
)
def test_imports_are_found_however_they_are_written(tmp_path, text):
    path = tmp_path / "module.py"
    path.write_text(text)
    names = {file.stem for file in sim.jit.imported_files(path)}
    assert names - {"__init__"} == {"rng", "interface"}


def test_the_cache_of_other_users_of_numba_is_left_alone():
    before = vars(numba.config)["CACHE_DIR"]
    sim.jit.kernel(parsed_imports)
    assert vars(numba.config)["CACHE_DIR"] == before


def test_bounds_checked_kernels_are_kept_apart(sources, tmp_path):
    home = str(tmp_path / "cache")
    plain = run(sources, AVSTACK_CACHE_DIR=home, NUMBA_BOUNDSCHECK="0")
    checked = run(sources, AVSTACK_CACHE_DIR=home, NUMBA_BOUNDSCHECK="1")
    assert plain[0] != checked[0]
    assert plain[1] == checked[1]


def test_the_user_cache_is_the_default(sources, tmp_path):
    assert Path(run(sources, XDG_CACHE_HOME=str(tmp_path / "xdg"))[0]).is_relative_to(tmp_path / "xdg" / "avstack")


def test_the_temporary_folder_is_the_second_choice(sources, tmp_path):
    (tmp_path / "file").write_text("no folder can be made below a file, not even by root")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folder, _, warned = run(sources, AVSTACK_CACHE_DIR=str(tmp_path / "file" / "cache"), TMPDIR=str(scratch))
    assert Path(folder).is_relative_to(scratch)
    assert warned == "0"


def test_a_temporary_folder_of_another_user_is_not_trusted(sources, tmp_path):
    """Compiled code is loaded from the folder, so whoever owns it owns the process."""
    if os.getuid() != 0:
        pytest.skip("only root can make a folder that belongs to somebody else")
    (tmp_path / "file").write_text("")
    scratch = tmp_path / "scratch"
    planted = scratch / f"avstack-{os.getuid()}"
    planted.mkdir(parents=True)
    os.chown(planted, 12345, 12345)
    folder, _, warned = run(sources, AVSTACK_CACHE_DIR=str(tmp_path / "file" / "cache"), TMPDIR=str(scratch))
    assert folder == "None"
    assert warned == "1"


@pytest.mark.parametrize(
    "unwritable",
    ["tempfile.tempdir = below", "tempfile._candidate_tempdir_list = lambda: [below]"],
    ids=["a temporary folder that cannot be made", "no temporary folder at all"],
)
def test_everything_works_where_nothing_is_writable(sources, tmp_path, unwritable):
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "nowhere")
    # tempfile falls back to /tmp and the working folder, which root can always write, so it is steered away from them.
    (sources / "sitecustomize.py").write_text(f"import tempfile\nbelow = {below!r}\n{unwritable}\n")
    folder, value, warned = run(sources, AVSTACK_CACHE_DIR=below, XDG_CACHE_HOME=below, HOME=below, TMPDIR=below)
    assert folder == "None"
    assert warned == "1"
    assert value == run(sources, AVSTACK_CACHE_DIR=str(tmp_path / "cache"))[1]


def test_a_user_without_a_home_is_no_obstacle(sources, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (sources / "sitecustomize.py").write_text(
        "import pathlib\ndef expanduser(self):\n    raise RuntimeError('no home')\npathlib.Path.expanduser = expanduser\n"
    )
    assert Path(run(sources, TMPDIR=str(scratch))[0]).is_relative_to(scratch)


def test_running_a_kernel_leaves_linear_algebra_to_who_wants_it():
    code = (
        "import sys, numba, numpy as np, sim.geometry\n"
        "sim.geometry.wrap_angle(4.0)\n"
        "early = 'scipy.linalg' in sys.modules\n"
        "dot = numba.njit(lambda a, b: a.dot(b))(np.eye(2), 3.0 * np.eye(2))\n"
        "print(early, dot.tolist())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False [[3.0, 0.0], [0.0, 3.0]]"
