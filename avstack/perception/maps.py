"""Layout of what the two stages of the network give out: which channel says what.

First stage, one answer for each cell of CELL * STRIDE = 1 m: a heat logit per class; offset of the centre from the middle of the
cell (x, y) [m]; log length, log width; sin and cos of the heading and of twice the heading; velocity over ground (x, y) [m/s];
logits of (must go around, not observed, solid) and the height [m]; then CONTEXT numbers that the second stage reads.

Second stage, HEADS answers for each proposal: logits of the classes and of nothing being there; the same ten means, offsets from
the middle of the proposal's crop; log-variances of x, y, heading, vx, vy, log length, log width.

Axes are the ego's. Sine and cosine of the heading shrink where it may be reversed, those of twice the heading do not:
P(reversed) follows from their lengths.
"""

from __future__ import annotations

from avstack.perception.bev import CELL, SEEN, SHAPE
from avstack.perception.classes import Class

STRIDE = 2
SIDE = CELL * STRIDE
ROWS, COLUMNS = SHAPE[0] // STRIDE, SHAPE[1] // STRIDE

MEANS, VARIANCES = 10, 7
HEAT = 0
DX, DY, LOG_LENGTH, LOG_WIDTH, SIN, COS, SIN2, COS2, VX, VY = range(MEANS)
"""Of the means, of either stage."""
RICH_OUT = len(Class) + MEANS

AROUND, HIDDEN, SOLID, HEIGHT = range(4)
COARSE_OUT = 4
COARSE = RICH_OUT
"""First channel of the coarse answer."""
CONTEXT_AT, CONTEXT = RICH_OUT + COARSE_OUT, 24
OUTPUTS = CONTEXT_AT + CONTEXT

HEADS = 3
NOTHING = len(Class)
"""Logit, after those of the classes, of nothing being there."""
SAID_MEANS = NOTHING + 1
SAID_VARIANCES = SAID_MEANS + MEANS
SAID = SAID_VARIANCES + VARIANCES
"""Numbers that a head of the second stage says of a proposal."""

CROP = 12
"""Fine cells to a side of what the second stage sees of a proposal."""
CROP_CHANNELS = SEEN + 1
RETURNS, RETURN = 64, 5
"""Returns near a proposal that it is shown, and the numbers of each: x and y from the middle of the crop [m], height above the
ground [m], intensity, and age in sweeps."""
ABOUT = CONTEXT + RICH_OUT + 5
"""What else it is told: the context and the first stage's answer there, how many returns there are now and were earlier, range
and bearing."""
