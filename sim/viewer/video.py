"""Pictures in a row as a film: MP4 (H.264) or GIF, by the ffmpeg that the extra `video` brings."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pygame

_CODECS = {
    ".mp4": ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
    # one palette for the whole film, made for what moves; flat colours need no dither
    ".gif": ("-filter_complex", "split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=none"),
}
SUFFIXES = tuple(_CODECS)


class VideoError(RuntimeError):
    """A film that cannot be made."""


def encoder() -> str:
    """Where ffmpeg is. Raises VideoError where it is not installed."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise VideoError(f"films need ffmpeg ({error}). Install the extra: pip install 'avstack-sim[video]'") from None


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
    running: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryFile() as said:

        def add(picture: pygame.Surface) -> None:
            nonlocal running
            width, height = (side - side % 2 for side in picture.get_size())  # H.264 wants even sides
            running = running or _start(ffmpeg, part, (width, height), fps, said)
            frame = pygame.surfarray.pixels3d(picture)[:width, :height].transpose(1, 0, 2)
            assert running.stdin is not None
            running.stdin.write(np.ascontiguousarray(frame).tobytes())

        try:
            yield add
            if running is not None:
                running.communicate()
                if running.returncode != 0:
                    raise BrokenPipeError
                part.replace(path)
        except BrokenPipeError:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["ffmpeg failed"]
            raise VideoError(f"the film {path} cannot be written: {lines[-1]}") from None
        finally:
            if running is not None:
                running.kill()
                running.communicate()
            part.unlink(missing_ok=True)


def _start(ffmpeg: str, path: Path, size: tuple[int, int], fps: float, said: IO[bytes]) -> subprocess.Popen[bytes]:
    """ffmpeg, waiting for frames of RGB bytes; what it says goes to `said`."""
    frames = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-")
    command = (ffmpeg, "-y", "-loglevel", "error", *frames, *_CODECS[path.suffix], str(path))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
