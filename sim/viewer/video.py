"""Pictures in a row as a film: MP4 (H.264) or GIF, by ffmpeg (the extra `video`)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pygame

SUFFIXES = (".mp4", ".gif")
GIF_COLOURS = "split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=none"
"""One palette for the whole film, made for what moves; flat colours need no dither."""


class VideoError(RuntimeError):
    """A film that cannot be made."""


def encoder() -> ModuleType:
    """ffmpeg's wrapper. Raises VideoError where it is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise VideoError(f"films need ffmpeg ({error}). Install the extra: pip install 'avstack-sim[video]'") from None
    found: ModuleType = imageio_ffmpeg
    return found


@contextmanager
def filming(path: Path, fps: float) -> Iterator[Callable[[pygame.Surface], None]]:
    """Gives what takes the pictures, all of one size; the file appears when the block is left without an error.

    Raises VideoError: another suffix, no ffmpeg, or one that fails.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise VideoError(f"cannot write a film called {str(path)!r}. End its name in {' or '.join(SUFFIXES)}")
    ffmpeg = encoder()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix.lower()}")
    writer: Generator[None, object, None] | None = None

    def add(picture: pygame.Surface) -> None:
        nonlocal writer
        width, height = (side - side % 2 for side in picture.get_size())  # H.264 wants even sides
        if writer is None:
            writer = _writer(ffmpeg, part, (width, height), fps)
            writer.send(None)
        frame = pygame.surfarray.pixels3d(picture)[:width, :height].transpose(1, 0, 2)
        writer.send(np.ascontiguousarray(frame))

    try:
        yield add
        if writer is not None:
            writer.close()
            part.replace(path)
    except OSError as error:  # of ffmpeg, in many lines, the last of which says why
        reason = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise VideoError(f"the film {path} cannot be written: {reason[-1].strip()}") from error
    finally:
        if writer is not None:
            writer.close()
        part.unlink(missing_ok=True)


def _writer(ffmpeg: ModuleType, path: Path, size: tuple[int, int], fps: float) -> Generator[None, object, None]:
    made: Generator[None, object, None]
    if path.suffix == ".gif":
        made = ffmpeg.write_frames(
            str(path), size, fps=fps, codec="gif", pix_fmt_out="pal8", macro_block_size=1,
            output_params=["-filter_complex", GIF_COLOURS],
        )  # fmt: skip
    else:
        made = ffmpeg.write_frames(str(path), size, fps=fps, codec="libx264", quality=7, macro_block_size=1)
    return made
