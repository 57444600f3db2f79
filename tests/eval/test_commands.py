"""The program's commands: none hides another, and what the documentation and the Makefile type is there."""

import ast
import re
from pathlib import Path

import pytest

import eval.cli
from eval.cli import program
from eval.cli_rare import COMMANDS as ON_FAILURES
from eval.cli_runs import COMMANDS as ON_RUNS
from eval.cli_watch import COMMANDS as ON_EPISODES

HERE = Path(__file__).parents[2]
PAGES = [HERE / "README.md", HERE / "Makefile", *sorted((HERE / "docs").glob("*.md"))]
TYPED = re.compile(r"(?:^|`|/)avstack ([a-z][a-z-]*)", re.MULTILINE)


def declared():
    """Names of the program's commands: as the decorators of one module give them, and as another lists them."""
    found = [str(command.name) for command in (*ON_RUNS, *ON_EPISODES, *ON_FAILURES)]
    for node in ast.walk(ast.parse(Path(eval.cli.__file__).read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "program.command":
                named = [ast.literal_eval(word.value) for word in call.keywords if word.arg == "name"]
                found.append(named[0] if named else node.name)
    return found


def test_no_command_hides_another():
    found = declared()
    assert len(found) > 10
    assert sorted(found) == sorted(set(found))
    assert {*found} <= program.commands.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_written_down_exist(page):
    typed = set(TYPED.findall(page.read_text()))
    assert typed <= program.commands.keys(), typed - program.commands.keys()
