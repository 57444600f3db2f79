"""The error that a user's input raises, wherever it is read: value, place and fix in one line."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input. `str()` gives "file:line:column: message. fix", leaving out what is not known."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, column: int | None = None, fix: str = ""
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        stop = " " if self.message.endswith(("?", "!", ":")) else ". "
        text = self.message.rstrip(".") + (f"{stop}{self.fix[0].upper()}{self.fix[1:]}" if self.fix else "")
        return f"{place}: {text}" if place else text

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the place when the error crosses a process border."""
        return (_rebuild, (self.message, self.file, self.line, self.column, self.fix))


def _rebuild(message: str, file: str | None, line: int | None, column: int | None, fix: str) -> InputError:
    return InputError(message, file=file, line=line, column=column, fix=fix)
