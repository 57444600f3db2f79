"""Pictures of maps and episodes with pygame, without a display."""

import os

GIVEN_DRIVER = os.environ.get("SDL_VIDEODRIVER")
"""What whoever started this process asked for; None: the screen, where there is one, is free for a window."""

# pygame reads these when it is imported, by whichever module of this package comes first.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
