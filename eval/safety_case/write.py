"""`avstack safety-case`: from a run in the store to the document."""

from __future__ import annotations

from pathlib import Path

import click

from eval.errors import ExitCode
from eval.outputs import check_folder, write_text
from eval.report.build import first_driver
from eval.runs import arm, driven
from eval.safety_case.argument import Status
from eval.safety_case.case import safety_case
from eval.safety_case.evidence import Dossier
from eval.safety_case.page import markdown, page
from eval.store import Store
from scenarios.errors import InputError

FORMS = {".html": page, ".htm": page, ".md": markdown}


def write_case(store: Store, name: str, out: Path, verify: int) -> ExitCode:
    """Write the document; CRITERIA_FAILED where a claim is refuted. Raises InputError."""
    form = FORMS.get(out.suffix.lower())
    if form is None:
        raise InputError(f"cannot write a safety case called {str(out)!r}", fix="End its name in .html or .md")
    check_folder(out.parent, "the safety case")
    main = driven(arm(store, name if ":" in name else f"{name}:{first_driver(store, name)}"))
    dossier = Dossier(store, main)
    case = safety_case(dossier, verify)
    write_text(out, form(case, dossier))
    click.echo(f"safety case: {out}, {case.status}", err=True)
    return ExitCode.CRITERIA_FAILED if case.status is Status.REFUTED else ExitCode.OK
