"""Where results are written: checks made before anything runs, which leave nothing behind, and files never seen half-written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from scenarios.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".bmp")


def check_folder(folder: Path, purpose: str) -> None:
    """Raise InputError unless `folder` is, or can become, a folder that we may write to."""
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    try:
        if not existing.is_dir():
            raise NotADirectoryError
        with tempfile.TemporaryFile(dir=existing):
            return
    except NotADirectoryError:
        raise InputError(
            f"cannot write {purpose} to {str(folder)!r}: {existing} is not a folder", fix="Choose another folder"
        ) from None
    except OSError as error:
        reason = f"cannot write {purpose} to {str(folder)!r}: {existing} is not writable ({(error.strerror or 'error').lower()})"
        raise InputError(reason, fix="Choose another folder") from None


def write_json(path: Path, value: object) -> None:
    """Write a file that is never seen half-written."""
    write_text(path, json.dumps(value))


def write_text(path: Path, text: str) -> None:
    """Write a file that is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)


def check_picture(picture: Path | None) -> None:
    """Raise InputError unless a picture of that name can be written; None is no picture."""
    if picture is None:
        return
    if picture.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(
            f"cannot write a picture called {str(picture)!r}", fix=f"End its name in one of {', '.join(IMAGE_SUFFIXES)}"
        )
    if picture.is_dir():
        raise InputError(f"the picture {str(picture)!r} is a folder", fix="Name a file")
    check_folder(picture.parent, "the picture")
