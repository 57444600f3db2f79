"""What `avstack list` prints: the catalogue as a table, as JSON, or one scenario as a YAML file to start from."""

from __future__ import annotations

import json

from scenarios.catalogue import FAMILIES
from scenarios.resolve import resolve


def list_text(*, as_json: bool) -> str:
    """Names, tags and summaries of all scenario families."""
    rows = [{"name": name, "tags": list(FAMILIES[name].spec().tags), "summary": FAMILIES[name].summary} for name in FAMILIES]
    if as_json:
        return json.dumps({"scenarios": rows})
    width = max(len(name) for name in FAMILIES)
    return "\n".join(f"{row['name']!s:<{width}}  {row['summary']}" for row in rows)


def yaml_text(name: str) -> str:
    """The YAML file of a scenario, by its name or file. Raises InputError."""
    return resolve(name).to_yaml().rstrip("\n")
