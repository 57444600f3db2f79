"""Every code block of the README and of docs/ works as printed.

Python blocks of one page run in one namespace, in order. Each `avstack ...` line of an `sh` block runs through the command line.
A `yaml` block is a scenario file, saved under the name that its first comment gives. Other blocks are marked `text`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "sh", "yaml", "text"}


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """(line, language, text) of every fenced block."""
    text = page.read_text()
    return [(text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in BLOCK.finditer(text)]


def run_command(line: str, folder: Path) -> None:
    """Run one shell line of the documentation; only `avstack` runs, `make` is checked by tests/test_project.py."""
    program, *arguments = shlex.split(line, comments=True)
    if program != "avstack":
        assert program == "make", f"{line!r}: only avstack and make belong into a block that is run"
        return
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "eval.cli", *arguments], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode in (0, 1), f"{line}\n{done.stdout.decode()}\n{done.stderr.decode()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_work(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, language, text in blocks(page):
        assert language in LANGUAGES, f"{page.name}:{line}: mark the block as one of {sorted(LANGUAGES)}"
        if language == "yaml":
            name = text.splitlines()[0].removeprefix("#").strip()
            assert name.endswith(".yaml"), f"{page.name}:{line}: the first line names the file, e.g. `# mine.yaml`"
            Path(name).write_text(text)
        elif language == "python":
            first = text.splitlines()[0].removeprefix("#").strip()
            if first.endswith(".py"):
                Path(first).write_text(text)
            exec(compile("\n" * line + text, str(page), "exec"), namespace)
        elif language == "sh":
            for command in filter(None, (part.strip() for part in text.splitlines())):
                run_command(command, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
