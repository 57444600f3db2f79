"""Values of OpenSCENARIO files: parameters (`$name`), expressions (`${...}`) and constraints.

Expressions are those of OpenSCENARIO XML 1.3, section 9.2: numbers, strings, + - * / %, comparisons, and, or, not, and the
functions below. They are read by the parser here; nothing of a file is ever executed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scenarios.formats.xml import Element
from scenarios.nearest import nearest

Value = float | str | bool
TYPES = frozenset({"integer", "int", "double", "string", "unsignedInt", "unsignedShort", "boolean", "dateTime"})
FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "round": (1, round), "floor": (1, math.floor), "ceil": (1, math.ceil), "sqrt": (1, math.sqrt), "abs": (1, abs),
    "pow": (2, math.pow), "max": (2, max), "min": (2, min), "sign": (1, lambda x: (x > 0) - (x < 0)), "sin": (1, math.sin),
    "cos": (1, math.cos), "tan": (1, math.tan), "asin": (1, math.asin), "acos": (1, math.acos), "atan": (1, math.atan),
}  # fmt: skip
COMPARED: dict[str, Callable[[float, float], bool]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
RULES: dict[str, Callable[[float, float], bool]] = {
    "equalTo": operator.eq, "greaterThan": operator.gt, "lessThan": operator.lt, "greaterOrEqual": operator.ge,
    "lessOrEqual": operator.le, "notEqualTo": operator.ne,
}  # fmt: skip
NESTED_MOST = 50
_TOKEN = re.compile(r"\s*(?:([0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+)|(\$?[A-Za-z_][A-Za-z0-9_.]*)|([-+*/%(),]))", re.ASCII)
_REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)


class ExpressionError(ValueError):
    """An expression that cannot be evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A declared parameter: its type, value as text, and groups of (rule, value) of which one has to hold."""

    name: str
    kind: str
    value: str
    groups: tuple[tuple[tuple[str, str], ...], ...]
    element: Element


def declared(parent: Element) -> dict[str, Parameter]:
    """Parameters declared inside an element."""
    found: dict[str, Parameter] = {}
    block = parent.child("ParameterDeclarations")
    for element in block.all("ParameterDeclaration") if block is not None else ():
        name = element.text("name")
        if name in found:
            raise element.error(f"parameter {name!r} is declared twice", "Give it another name.")
        kind = element.choice("parameterType", sorted(TYPES))
        groups = tuple(
            tuple((rule.choice("rule", tuple(RULES)), rule.text("value")) for rule in group.all("ValueConstraint"))
            for group in element.all("ConstraintGroup")
        )
        found[name] = Parameter(name=name, kind=kind, value=element.text("value"), groups=groups, element=element)
    return found


def settled(parameters: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, str]:
    """Values of all parameters as text, in order of declaration: those given, else their own, references resolved."""
    values: dict[str, str] = {}
    for parameter in parameters.values():
        raw = given.get(parameter.name, parameter.value)
        values[parameter.name] = _typed(parameter, resolved(raw, values, parameter.element))
    return values


def _typed(parameter: Parameter, value: str) -> str:
    """The value, checked to be of the parameter's type."""
    fix = f"Write a value of type {parameter.kind}."
    if parameter.kind in ("integer", "int", "unsignedInt", "unsignedShort"):
        number = _number(value)
        if number is None or number != int(number) or (parameter.kind.startswith("unsigned") and number < 0):
            raise parameter.element.error(f"{parameter.name}={value!r} is no {parameter.kind}", fix)
        return str(int(number))
    if parameter.kind == "double" and _number(value) is None:
        raise parameter.element.error(f"{parameter.name}={value!r} is no number", fix)
    if parameter.kind == "boolean" and value not in ("true", "false", "1", "0"):
        raise parameter.element.error(f"{parameter.name}={value!r} is no boolean", fix)
    return value


def violated(parameters: Mapping[str, Parameter], values: Mapping[str, str]) -> str:
    """What of the constraints does not hold, in words; empty where all do. The rules of a group go together; one group holds."""
    for parameter in parameters.values():
        if parameter.groups and not any(_holds(parameter, group, values) for group in parameter.groups):
            return f"{parameter.name}={values[parameter.name]} is outside its constraints"
    return ""


def _holds(parameter: Parameter, group: Sequence[tuple[str, str]], values: Mapping[str, str]) -> bool:
    return all(compare(values[parameter.name], rule, resolved(raw, values, parameter.element)) for rule, raw in group)


def compare(value: str, rule: str, other: str) -> bool:
    """Whether a rule holds between two values; as numbers where both are."""
    a, b = _number(value), _number(other)
    if a is not None and b is not None:
        return RULES[rule](a, b)
    return (value == other) == (rule == "equalTo") if rule in ("equalTo", "notEqualTo") else False


def substituted(element: Element, values: Mapping[str, str]) -> Element:
    """A copy of an element and all below with parameters and expressions replaced by their values."""
    attributes = {
        key: resolved(raw, values, element) if "$" in raw else raw
        for key, raw in element.attributes.items()
    }  # fmt: skip
    return replace(element, attributes=attributes, children=[substituted(child, values) for child in element.children])


def resolved(raw: str, values: Mapping[str, str], element: Element) -> str:
    """A text with `$name` or `${expression}` as its value; InputError for an unknown parameter or a bad expression."""
    raw = raw.strip() if raw.strip().startswith("${") else raw
    if raw.startswith("${"):
        if not raw.endswith("}"):
            raise element.error(f"expression {raw[:60]!r} does not end in }}", "Close it.")
        try:
            return _shown(_Parser(raw[2:-1], values).value())
        except (ExpressionError, ArithmeticError, ValueError, TypeError) as error:
            raise element.error(f"expression {raw[:60]!r} cannot be evaluated: {error}", "Correct it.") from None

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise element.error(f"parameter ${match[1]} is not declared{nearest(match[1], values)}", "Declare it.")
        return values[match[1]]

    return _REFERENCE.sub(value, raw)


def _number(text: str) -> float | None:
    try:
        value = float(text if text.isascii() and "_" not in text else "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is not finite")
    return value if isinstance(value, str) else repr(value)


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        self._tokens = list(self._split(text))
        self._values = values
        self._at = 0
        self._depth = 0

    @staticmethod
    def _split(text: str) -> Iterator[str]:
        at = 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ExpressionError(f"{text[at : at + 10]!r} makes no sense")
            yield match[0].strip()
            at = match.end()

    def value(self) -> Value:
        found = self._either()
        if self._at < len(self._tokens):
            raise ExpressionError(f"{self._tokens[self._at]!r} is too much")
        return found

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise ExpressionError("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, *wanted: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            return self._next()
        return None

    def _either(self) -> Value:
        self._depth += 1
        if self._depth > NESTED_MOST:
            raise ExpressionError(f"nested deeper than {NESTED_MOST} levels")
        found = self._both()
        while self._take("or"):
            found = _truth(self._both()) or _truth(found)
        self._depth -= 1
        return found

    def _both(self) -> Value:
        found = self._compared()
        while self._take("and"):
            found = _truth(self._compared()) and _truth(found)
        return found

    def _compared(self) -> Value:
        found = self._sum()
        sign = self._take(*COMPARED)
        return COMPARED[sign](_float(found), _float(self._sum())) if sign else found

    def _sum(self) -> Value:
        found = self._product()
        while sign := self._take("+", "-"):
            other = _float(self._product())
            found = _float(found) + other if sign == "+" else _float(found) - other
        return found

    def _product(self) -> Value:
        found = self._single()
        while sign := self._take("*", "/", "%"):
            other = _float(self._single())
            found = {"*": operator.mul, "/": operator.truediv, "%": math.fmod}[sign](_float(found), other)
        return found

    def _single(self) -> Value:
        token = self._next()
        if token in ("-", "+", "not"):
            self._depth += 1
            if self._depth > NESTED_MOST:
                raise ExpressionError(f"nested deeper than {NESTED_MOST} levels")
            inner = self._single()
            self._depth -= 1
            return not _truth(inner) if token == "not" else -_float(inner) if token == "-" else _float(inner)
        if token == "(":
            inner = self._either()
            self._close()
            return inner
        if token.startswith("$"):
            if token[1:] not in self._values:
                raise ExpressionError(f"parameter {token} is not declared{nearest(token[1:], self._values)}")
            return _literal(self._values[token[1:]])
        if token in FUNCTIONS:
            return self._called(token)
        if token[0].isdigit() or token[0] == ".":
            return float(token)
        if token in ("true", "false"):
            return token == "true"
        raise ExpressionError(f"{token!r} is unknown{nearest(token, FUNCTIONS)}")

    def _called(self, name: str) -> float:
        count, function = FUNCTIONS[name]
        if self._next() != "(":
            raise ExpressionError(f"{name} needs its arguments in brackets")
        arguments = [_float(self._either())]
        while self._take(","):
            arguments.append(_float(self._either()))
        self._close()
        if len(arguments) != count:
            raise ExpressionError(f"{name} takes {count} arguments, got {len(arguments)}")
        return float(function(*arguments))

    def _close(self) -> None:
        if self._next() != ")":
            raise ExpressionError("a bracket is not closed")


def _literal(text: str) -> Value:
    number = _number(text)
    return number if number is not None else text == "true" if text in ("true", "false") else text


def _float(value: Value) -> float:
    if isinstance(value, str):
        raise ExpressionError(f"{value!r} is no number")
    return float(value)


def _truth(value: Value) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"{value!r} is neither true nor false")
    return value
