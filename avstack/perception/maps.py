"""Layout of the network's output: which channel of a cell says what.

A cell is CELL * STRIDE = 1 m to a side. Each of HEADS rich heads gives, in order: a heat logit per class; offset of the centre
from the middle of the cell (x, y) [m]; log length, log width; sin and cos of the heading and of twice the heading; velocity over
ground (x, y) [m/s]; log-variances of x, y, heading, vx, vy, log length, log width. Axes are the ego's. Sine and cosine of the
heading shrink where it may be reversed, those of twice the heading do not: P(reversed) follows from their lengths. The coarse
head gives logits of (must go around, not observed, solid) and the height [m].
"""

from __future__ import annotations

from avstack.perception.bev import CELL, SHAPE
from avstack.perception.classes import Class

STRIDE = 2
SIDE = CELL * STRIDE
ROWS, COLUMNS = SHAPE[0] // STRIDE, SHAPE[1] // STRIDE
HEADS = 3

MEANS, VARIANCES = 10, 7
HEAT = 0
DX, DY, LOG_LENGTH, LOG_WIDTH, SIN, COS, SIN2, COS2, VX, VY = (len(Class) + k for k in range(MEANS))
LOG_VARIANCES = len(Class) + MEANS
RICH_OUT = len(Class) + MEANS + VARIANCES

AROUND, HIDDEN, SOLID, HEIGHT = range(4)
COARSE_OUT = 4
OUTPUTS = HEADS * RICH_OUT + COARSE_OUT
