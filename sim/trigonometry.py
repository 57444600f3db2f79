"""Sine, cosine and arctangent from polynomials alone.

The C library's differ between machines and versions; these round the same way everywhere, which keeps episodes bit-identical
across machines. Minimax coefficients as in Cephes (Moshier, Methods and Programs for Mathematical Functions, 1989); errors below
1e-14.
"""

from __future__ import annotations

import math

from sim.jit import kernel

_TWO_OVER_PI = 2.0 / math.pi
_HALF_PI_HIGH = 1.5707963267341256
_FIRST = 0.785  # rad; smaller angles need no reduction
_HALF_PI_LOW = 6.077100506506192e-11


@kernel
def sincos(angle: float) -> tuple[float, float]:
    """(sin, cos) of an angle [rad], |angle| < 1e5."""
    r = angle
    turn = 0
    if abs(angle) > _FIRST:
        quadrant = math.floor(angle * _TWO_OVER_PI + 0.5)
        r = (angle - quadrant * _HALF_PI_HIGH) - quadrant * _HALF_PI_LOW
        turn = int(quadrant) & 3
    z = r * r
    # Horner's scheme, the innermost three terms first
    odd = 2.75573136213857245213e-6 + z * (-2.50507477628578072866e-8 + z * 1.58962301576546568060e-10)
    odd = 8.33333333332211858878e-3 + z * (-1.98412698295895385996e-4 + z * odd)
    sine = r + r * z * (-1.66666666666666307295e-1 + z * odd)
    even = -2.75573141792967388112e-7 + z * (2.08757008419747316778e-9 - z * 1.13585365213876817300e-11)
    even = -1.38888888888730564116e-3 + z * (2.48015872888517045348e-5 + z * even)
    cosine = 1.0 - 0.5 * z + z * z * (4.16666666666665929218e-2 + z * even)
    if turn == 0:
        return sine, cosine
    if turn == 1:
        return cosine, -sine
    if turn == 2:
        return -sine, -cosine
    return -cosine, sine


@kernel
def arctan(x: float) -> float:
    """Arctangent [rad] in (-pi/2, pi/2)."""
    magnitude = abs(x)
    base = 0.0
    if magnitude > 2.41421356237309504880:
        base = 0.5 * math.pi
        magnitude = -1.0 / magnitude
    elif magnitude > 0.66:
        base = 0.25 * math.pi
        magnitude = (magnitude - 1.0) / (magnitude + 1.0)
    z = magnitude * magnitude
    top = (
        ((-8.750608600031904122785e-1 * z - 1.615753718733365076637e1) * z - 7.500855792314704667340e1) * z
        - 1.228866684490136173410e2
    ) * z - 6.485021904942025371773e1
    bottom = ((z + 2.485846490142306297962e1) * z + 1.650270098316988542046e2) * z + 4.328810604912902668951e2
    bottom = (bottom * z + 4.853903996359136964868e2) * z + 1.945506571482613964425e2
    result = base + magnitude + magnitude * z * (top / bottom)
    return result if x >= 0.0 else -result
