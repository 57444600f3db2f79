"""XML as the map and scenario readers need it: elements that know their place in the file and attributes with a type.

A thin tree over the standard library's expat. Every complaint is an `InputError` with file:line:column, the attribute, its value
and the fix. Entity declarations and absurd nesting are refused, so a hostile file cannot make a small document large.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from scenarios.errors import InputError

DEPTH_MAX = 100
"""Deepest nesting accepted; the road and scenario formats stay below 20."""
SIZE_MAX = 512 * 1024 * 1024
"""Largest file [bytes] accepted."""


@dataclass(slots=True, eq=False)
class Element:
    """One XML element: tag without namespace prefix, raw attributes, children in file order, and its place."""

    tag: str
    attributes: dict[str, str]
    file: str
    line: int
    column: int
    children: list[Element] = field(default_factory=list)
    content: list[str] = field(default_factory=list)

    def error(self, message: str, fix: str = "") -> InputError:
        """An error placed at this element; the caller raises it."""
        return InputError(f"<{self.tag}>: {message}", file=self.file, line=self.line, column=self.column, fix=fix)

    def all(self, tag: str) -> list[Element]:
        """Direct children called `tag`."""
        return [child for child in self.children if child.tag == tag]

    def child(self, tag: str) -> Element | None:
        """First direct child called `tag`, or None."""
        return next((child for child in self.children if child.tag == tag), None)

    def need(self, tag: str) -> Element:
        """First direct child called `tag`; InputError without one."""
        found = self.child(tag)
        if found is None:
            raise self.error(f"has no <{tag}> inside", f"Add a <{tag}> element.")
        return found

    def walk(self) -> Iterator[Element]:
        """This element and everything below it, in file order."""
        pending = [self]
        while pending:
            element = pending.pop()
            yield element
            pending.extend(reversed(element.children))

    @property
    def body(self) -> str:
        """The text directly inside, stripped."""
        return "".join(self.content).strip()

    def text(self, name: str, default: str | None = None) -> str:
        """Attribute `name` as it stands; InputError when it is missing and there is no default."""
        value = self.attributes.get(name, default)
        if value is None:
            near = difflib.get_close_matches(name, self.attributes, n=1)
            hint = f'Add {name}="..."' + (f"; there is {near[0]!r}." if near else ".")
            raise self.error(f"attribute {name!r} is missing", hint)
        return value

    def number(self, name: str, default: float | None = None, *, minimum: float | None = None) -> float:
        """Attribute `name` as a finite float, at least `minimum` if given; InputError otherwise."""
        if default is not None and name not in self.attributes:
            return default
        raw = self.text(name)
        try:
            # Python alone also takes 1_000 and the digits of every script.
            value = float(raw if raw.isascii() and "_" not in raw else "")
        except ValueError:
            raise self.error(f"{name}={raw!r} is not a number", "Write a plain decimal number.") from None
        if not math.isfinite(value):
            raise self.error(f"{name}={raw!r} is not finite", "Write a plain decimal number.")
        if minimum is not None and value < minimum:
            raise self.error(f"{name}={raw!r} is too small", f"It must be at least {minimum:g}.")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Attribute `name` as an integer; InputError otherwise."""
        if default is not None and name not in self.attributes:
            return default
        raw = self.text(name)
        try:
            return int(raw if raw.isascii() and "_" not in raw else "")
        except ValueError:
            raise self.error(f"{name}={raw!r} is not an integer", "Write a whole number.") from None

    def choice(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Attribute `name`, one of `options`; InputError names them otherwise."""
        value = self.text(name, default)
        if value not in options:
            raise self.error(f"{name}={value!r} is not known", f"Use one of: {', '.join(options)}.")
        return value


def read_xml(path: str | Path, *, root: str | None = None) -> Element:
    """The root element of the file at `path`; InputError if it cannot be read, is not XML, or its root is not called `root`."""
    data = _read_bytes(Path(path))
    return parse_xml(data, file=str(path), root=root)


def parse_xml(data: bytes, *, file: str, root: str | None = None) -> Element:
    """The root element of `data`; errors as `read_xml`, naming `file`."""
    if not data.strip():
        raise InputError("the file is empty", file=file, fix="Export the file again.")
    builder = _TreeBuilder(file)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code] if error.code in expat.errors.messages else str(error)
        raise InputError(
            f"not well-formed XML: {reason}",
            file=file,
            line=error.lineno,
            column=error.offset + 1,
            fix="Repair the XML at this place.",
        ) from None
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"unreadable text encoding: {error}", file=file, line=1, column=1, fix="Save the file as UTF-8."
        ) from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"unreadable XML: {error}", file=file, line=1, column=1, fix="Save the file as UTF-8.") from None
    found = builder.root
    if found is None:
        raise InputError("there is no XML element in the file", file=file, fix="Export the file again.")
    if root is not None and found.tag != root:
        raise found.error(f"the root element must be <{root}>", f"This reader takes <{root}> files only.")
    return found


class _TreeBuilder:
    """Collects expat's events into Elements."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Element | None = None
        self.open: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.EntityDeclHandler = self.entity

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        parser = self.parser
        line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
        element = Element(tag.rpartition(":")[2], attributes, self.file, line, column)
        if len(self.open) >= DEPTH_MAX:
            raise element.error(f"nested deeper than {DEPTH_MAX} levels", "This is no map or scenario file.")
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, _tag: str) -> None:
        self.open.pop()

    def characters(self, text: str) -> None:
        if not text.isspace():
            self.open[-1].content.append(text)

    def entity(self, name: str, *_rest: object) -> None:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        raise InputError(
            f"entity declaration {name!r} is refused", file=self.file, line=line, column=column, fix="Write the text out instead."
        )


def _read_bytes(path: Path) -> bytes:
    """The file's bytes; InputError names what is wrong with the path."""
    try:
        if path.is_dir():
            raise InputError("this is a directory", file=str(path), fix="Give a file inside it.")
        if path.stat().st_size > SIZE_MAX:
            raise InputError(f"the file is larger than {SIZE_MAX >> 20} MiB", file=str(path), fix="Give a smaller extract.")
        return path.read_bytes()
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _siblings(path), n=1)
        fix = f"Did you mean {near[0]!r}?" if near else "Check the path."
        raise InputError("there is no such file", file=str(path), fix=fix) from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot be read: {error}", file=str(path), fix="Check the path and its permissions.") from None


def _siblings(path: Path) -> list[str]:
    """Names in the path's folder, or none where that does not exist."""
    return sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
