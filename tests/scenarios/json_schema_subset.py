"""A checker for the part of JSON Schema 2020-12 that pydantic writes, enough to hold our exported schema against documents."""

from __future__ import annotations

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "enum", "const", "anyOf", "properties", "required",
    "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "propertyNames",
}  # fmt: skip


def violations(value, schema, root=None, path="$"):
    """Complaints, empty where `value` satisfies `schema`; ValueError for a keyword that is not understood."""
    root = schema if root is None else root
    if not set(schema) <= KNOWN:
        raise ValueError(f"keywords not understood: {sorted(set(schema) - KNOWN)}")
    found = []
    if "$ref" in schema:
        found += violations(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, path)
    if "anyOf" in schema and all(violations(value, part, root, path) for part in schema["anyOf"]):
        found.append(f"{path}: {value!r} fits none of {len(schema['anyOf'])}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} not in {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: {value!r} is not {schema['const']!r}")
    if "type" in schema and not _is_type(value, schema["type"]):
        return [*found, f"{path}: {value!r} is not of type {schema['type']}"]
    if isinstance(value, dict):
        found += _object(value, schema, root, path)
    elif isinstance(value, list):
        found += _array(value, schema, root, path)
    elif isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append(f"{path}: length of {value!r}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found += _number(value, schema, path)
    return found


def _is_type(value, name):
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def _object(value, schema, root, path):
    found = [f"{path}: {key!r} is missing" for key in schema.get("required", ()) if key not in value]
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, item in value.items():
        if "propertyNames" in schema:
            found += violations(key, schema["propertyNames"], root, f"{path}.{key}")
        if key in properties:
            found += violations(item, properties[key], root, f"{path}.{key}")
        elif rest is False:
            found.append(f"{path}: unknown key {key!r}")
        elif isinstance(rest, dict):
            found += violations(item, rest, root, f"{path}.{key}")
    return found


def _array(value, schema, root, path):
    found = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append(f"{path}: {len(value)} items")
    first = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        part = first[index] if index < len(first) else schema.get("items", {})
        if isinstance(part, dict):
            found += violations(item, part, root, f"{path}[{index}]")
    return found


def _number(value, schema, path):
    fits = (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )
    return [] if fits else [f"{path}: {value!r} out of bounds"]
