"""The project's own promises: import contracts that cover every module, pinned versions, and make targets that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("avstack", "sim", "scenarios", "eval")
LEAF_SET = {
    "sim.interface", "sim.geometry", "sim.kinematics", "sim.roads", "sim.jit", "sim.parts", "sim.rng", "sim.tables",
}  # fmt: skip

AVSTACK, LEAVES, METRICS = ("avstack",), tuple(sorted(LEAF_SET)), ("eval.metrics",)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def forbidden(project) -> dict[tuple[str, ...], set[str]]:
    """What each `forbidden` contract forbids, by its sorted source modules."""
    contracts = [c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "forbidden"]
    return {tuple(sorted(c["source_modules"])): set(c["forbidden_modules"]) for c in contracts}


def modules_of(package: str) -> set[str]:
    """Modules and subpackages directly inside one package."""
    folder = ROOT / package
    files = {path.stem for path in folder.glob("*.py") if path.stem != "__init__"}
    folders = {path.name for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    return {f"{package}.{name}" for name in files | folders}


@pytest.mark.parametrize(("sources", "allowed"), [(AVSTACK, set()), (LEAVES, set()), (METRICS, {"sim.recording"})])
def test_every_sim_module_is_in_the_leaf_set_or_in_each_contract(forbidden, sources, allowed):
    listed = {module for module in forbidden[sources] if module.startswith("sim.")}
    assert modules_of("sim") - LEAF_SET - allowed == listed


def test_metrics_may_see_nothing_else_of_the_product(forbidden):
    assert {"avstack", "scenarios", "eval.*"} <= forbidden[METRICS]


def test_layers_point_downwards(project):
    layers = [c["layers"] for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    assert layers == [["eval", "avstack | scenarios", "sim"]]


def test_contracts_have_no_exceptions(project):
    for contract in project["tool"]["importlinter"]["contracts"]:
        assert not {"ignore_imports", "allow_indirect_imports"} & set(contract), contract["name"]


@pytest.mark.parametrize(
    "added",
    [
        {"avstack/__init__.py": "import sim.state"},
        {"avstack/__init__.py": "import scenarios.errors"},
        {"sim/rng.py": "import sim.scenario"},
        {"sim/state.py": "import scenarios.errors"},
        {"eval/metrics/outcome.py": "import eval.statistics"},
        {"eval/metrics/outcome.py": "import sim.recording", "sim/recording.py": "import sim.state"},  # an indirect leak
    ],
    ids=str,
)
def test_the_contracts_catch(tmp_path, added):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line in added.items():
        with (tmp_path / file).open("a") as source:
            source.write(f"\n{line}\n")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "BROKEN" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_modules_is_a_package(package):
    bare = {path.parent for path in (ROOT / package).rglob("*.py") if not (path.parent / "__init__.py").exists()}
    assert not bare, "folders without an __init__.py are invisible to the import contracts"


def test_the_wheel_holds_exactly_the_four_packages(project):
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)


def pins() -> dict[str, str]:
    """Version by distribution name, from constraints.txt."""
    lines = [line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    found = {}
    for line in filter(lambda text: text and not text.startswith("#"), lines):
        name, equals, version = line.partition("==")
        assert equals, f"constraints.txt: {line!r} is not a name==version"
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def test_the_tested_version_of_every_dependency_is_pinned_and_in_range(project):
    extras = project["project"]["optional-dependencies"]
    pinned = pins()
    for text in project["project"]["dependencies"] + extras["learn"] + extras["dev"]:
        requirement = Requirement(text)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in pinned, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} does not allow the tested {pinned[name]}"


def test_continuous_integration_and_readme_name_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for name in ("README.md", ".ci/run"):
        used = set(re.findall(r"^(?:make|  make) ([a-z-]+)|^make ([a-z-]+)", (ROOT / name).read_text(), flags=re.MULTILINE))
        assert {target for pair in used for target in pair if target} <= targets
