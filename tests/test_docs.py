"""Every code block of the README and of docs/ works as printed.

The Python blocks of one page run as one program. Each `avstack ...` line of an `sh` block then runs through the command line.
A `yaml` or Python block whose first line is a comment with a file name is saved under that name first. Other blocks are marked
`text`.
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
COMMAND_LINE = "import sys; from eval.cli import main; sys.exit(main())"


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """(line of the first line inside, language, text) of every fenced block."""
    text = page.read_text()
    return [(text.count("\n", 0, match.start()) + 2, match[1], match[2]) for match in BLOCK.finditer(text)]


def program(page: Path) -> str:
    """All Python blocks of a page, each on the lines where the page has it."""
    lines = [""] * page.read_text().count("\n")
    for line, language, text in blocks(page):
        if language == "python":
            lines[line - 1 : line - 1 + text.count("\n")] = text.splitlines()
    return "\n".join(lines) + "\n"


def run_python(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run this interpreter on the checkout's packages."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def run_command(line: str, folder: Path) -> None:
    """Run one shell line of the documentation; only `avstack` runs, `make` targets are checked in tests/test_project.py."""
    name, *arguments = shlex.split(line, comments=True)
    if name == "make":
        return
    assert name == "avstack", f"{line!r}: only avstack and make belong into a block that is run"
    done = run_python(["-c", COMMAND_LINE, *arguments], folder)
    assert done.returncode in (0, 1), f"{line}\n{done.stdout}\n{done.stderr}"
    # Python ends a crash with 1 too, which is the code for "criteria failed".
    assert "Traceback" not in done.stderr, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_work(page, tmp_path):
    for line, language, text in blocks(page):
        assert language in LANGUAGES, f"{page.name}:{line}: mark the block as one of {sorted(LANGUAGES)}"
        name = re.match(r"# (\S+\.(?:py|yaml))$", text.partition("\n")[0])
        assert name or language != "yaml", f"{page.name}:{line}: the first line names the file, e.g. `# mine.yaml`"
        if name:
            (tmp_path / name[1]).write_text(text)
    if any(language == "python" for _, language, _ in blocks(page)):
        script = tmp_path / f"{page.stem}_blocks.py"
        script.write_text(program(page))
        done = run_python([str(script)], tmp_path)
        assert done.returncode == 0, f"{page.name}: {done.stderr}"
    for _, language, text in blocks(page):
        for command in filter(None, (part.strip() for part in text.splitlines() if language == "sh")):
            run_command(command, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
