"""The safety case as one document: Markdown, or an HTML page that loads nothing from elsewhere."""

from __future__ import annotations

import ast
import html
import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from avstack.safety import assumptions
from eval.runs import seeds_text
from eval.safety_case.argument import MARKS, Claim, Evidence, Status, gaps
from eval.safety_case.evidence import Dossier

_STYLE = Path(__file__).with_name("page.css")
_MEANING: Mapping[Status, str] = {
    Status.SUPPORTED: "the evidence bears it out", Status.OPEN: "there is evidence, and it does not tell",
    Status.STALE: "the evidence is of another version", Status.MISSING: "there is no evidence",
    Status.REFUTED: "the evidence contradicts it",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Document:
    """What stands before the argument: title, facts, the contexts (name, text), and the assumptions (name, text)."""

    title: str
    facts: str
    verdict: str
    contexts: list[tuple[str, str]]
    assumed: list[tuple[str, str]]


def markdown(case: Claim, dossier: Dossier) -> str:
    """The document as Markdown."""
    head = _head(case, dossier)
    lines = [f"# {head.title}", "", head.facts, "", f"**{head.verdict}**", ""]
    lines += ["| | claim | about | status |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {_cell(one.text)} | {one.nature} | {_badge(one.status)} |" for one in case.walk()]
    lines += ["", "## What is missing, stale or against it", ""]
    lines += _md_gaps(case) or ["Nothing.", ""]
    lines += ["## Context", ""]
    lines += [f"- **{name}**: {text}" for name, text in head.contexts]
    lines += ["", "Assumptions of the envelope, whose violations are counted (docs/safety.md):", ""]
    lines += [f"- {name}: {text}" for name, text in head.assumed]
    lines += ["", "## The argument", ""]
    for one in case.walk():
        lines += _md_claim(one)
    return "\n".join(lines).rstrip("\n") + "\n"


def page(case: Claim, dossier: Dossier) -> str:
    """The document as HTML: claims lie inside the claims that they bear out."""
    head = _head(case, dossier)
    grave = case.status is Status.REFUTED
    contexts = "".join(f"<li><strong>{html.escape(name)}</strong>: {html.escape(text)}</li>" for name, text in head.contexts)
    assumed = "".join(f"<li><strong>{html.escape(name)}</strong>: {html.escape(text)}</li>" for name, text in head.assumed)
    legend = " ".join(f"{_html_badge(status)} {html.escape(words)}." for status, words in _MEANING.items())
    body = (
        f"<h1>{html.escape(head.title)}</h1><p class=facts>{html.escape(head.facts)}</p>",
        f'<div class="verdict{" bad" if grave else ""}"><strong>{html.escape(head.verdict)}</strong></div>',
        f"<p class=legend>{legend}</p>",
        f"<h2>What is missing, stale or against it</h2>{_html_gaps(case)}",
        f"<h2>Context</h2><ul>{contexts}</ul><details><summary>Assumptions of the envelope</summary><ul>{assumed}</ul></details>",
        f"<h2>The argument</h2>{_html_claim(case)}",
    )
    return (
        '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f'<link rel=icon href="data:,"><title>{html.escape(head.title)}</title>'
        f"<style>{_STYLE.read_text(encoding='utf-8')}</style>{''.join(body)}</html>"
    )


def _head(case: Claim, dossier: Dossier) -> _Document:
    run, driver = dossier.main.run, dossier.main.driver
    said = run.provenance
    counts = Counter(one.status for one in case.walk() if one.evidence)
    told = ", ".join(f"{counts[status]} {status}" for status in reversed(Status) if counts[status])
    words = {
        Status.SUPPORTED: "Every claim is borne out", Status.REFUTED: "Refuted: the evidence contradicts a claim",
    }.get(case.status, "Incomplete: not every claim is borne out")  # fmt: skip
    others = sorted({f"{arm.run.suite} ({arm.run.sensing}, {len(arm.rows)})" for arm in dossier.of_driver()})
    contexts = [
        ("Driver", f"{driver}, of run {run.name}"),
        ("Domain", f"what the store has of it, by suite (sensing level, episodes): {', '.join(others) or 'nothing'}"),
        ("Run", f"{len(dossier.main.rows)} of {len(run.seeds)} episodes of {run.suite}, seeds {seeds_text(run.seeds)}"),
        ("Made with", f"avstack {said.get('product', '')}, commit {said.get('commit') or 'unknown'}, {said.get('machine', '')}"),
    ]  # fmt: skip
    return _Document(
        f"Safety case of {driver}", f"From run {run.name} of {run.made} UTC and whatever else the store has of this driver.",
        f"{words} ({told} of the {sum(counts.values())} claims with evidence of their own).", contexts, _assumed(),
    )  # fmt: skip


def _assumed() -> list[tuple[str, str]]:
    """The envelope's assumptions in their own words."""
    classes = [node for node in ast.parse(inspect.getsource(assumptions)).body if isinstance(node, ast.ClassDef)]
    members = next(node.body for node in classes if node.name == assumptions.Assumption.__name__)
    found = []
    for node, after in pairwise(members):
        words = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(words, str):
            found.append((node.targets[0].id, " ".join(words.split())))
    return found


def _badge(status: Status) -> str:
    return f"{MARKS[status]} {status}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _md_gaps(case: Claim) -> list[str]:
    found = gaps(case)
    if not found:
        return []
    lines = ["| claim | evidence | found | status | what would tell |", "|---|---|---|---|---|"]
    for name, piece in found:
        lines.append(f"| {name} | {_cell(piece.what)} | {_cell(piece.found)} | {_badge(piece.status)} | {_code(piece.fix)} |")
    return [*lines, ""]


def _md_claim(one: Claim) -> list[str]:
    lines = [f"### {one.name}: {one.text}", "", f"{_badge(one.status)}; about what is {one.nature}.", ""]
    if one.argument:
        parts = f" ({', '.join(part.name for part in one.parts)})" if one.parts else ""
        lines += [f"*Argument{parts}:* {one.argument}", ""]
    if one.evidence:
        lines += ["| evidence | found | status | from |", "|---|---|---|---|"]
        lines += [f"| {_cell(p.what)} | {_cell(p.found)} | {_badge(p.status)} | {_cell(p.source)} |" for p in one.evidence]
        lines.append("")
    return lines


def _code(fix: str) -> str:
    return f"`{fix}`" if fix.startswith("avstack ") else _cell(fix)


def _html_badge(status: Status) -> str:
    return f'<span class="badge {status}">{MARKS[status]} {status}</span>'


def _html_gaps(case: Claim) -> str:
    found = gaps(case)
    if not found:
        return "<p>Nothing.</p>"
    rows = "".join(
        f'<tr><td><a href="#{name}">{name}</a></td><td>{html.escape(piece.what)}</td><td>{html.escape(piece.found)}</td>'
        f"<td>{_html_badge(piece.status)}</td><td>{_html_fix(piece)}</td></tr>"
        for name, piece in found
    )
    return (
        "<div class=wide><table><thead><tr><th>claim</th><th>evidence</th><th>found</th><th>status</th><th>what would tell</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _html_fix(piece: Evidence) -> str:
    fix = html.escape(piece.fix)
    return f"<code>{fix}</code>" if piece.fix.startswith("avstack ") else fix


def _html_claim(one: Claim) -> str:
    argument = f"<p class=argument><strong>Argument</strong>: {html.escape(one.argument)}</p>" if one.argument else ""
    pieces = "".join(
        f"<tr><td>{html.escape(p.what)}</td><td>{html.escape(p.found)}</td><td>{_html_badge(p.status)}</td>"
        f"<td class=faint>{html.escape(p.source)}</td></tr>"
        for p in one.evidence
    )
    table = (
        "<div class=wide><table><thead><tr><th>evidence</th><th>found</th><th>status</th><th>from</th></tr></thead>"
        f"<tbody>{pieces}</tbody></table></div>"
        if pieces
        else ""
    )
    return (
        f'<section class="claim {one.status}" id="{one.name}"><h3>{one.name} <span>{html.escape(one.text)}</span> '
        f"{_html_badge(one.status)}</h3><p class=faint>about what is {one.nature}</p>{argument}{table}"
        f"{''.join(_html_claim(part) for part in one.parts)}</section>"
    )
