"""Monotone rational-quadratic splines in NumPy, as a plan's coupling law.

Durkan, C., Bekasov, A., Murray, I. & Papamakarios, G. (2019) "Neural spline flows" arXiv:1906.04032.
"""

from dataclasses import dataclass

import numpy as np

from gyoza.inference.plan import Floats, Spline

__all__ = ["Piece", "couple_spline", "decouple_spline", "pieces"]


@dataclass(frozen=True, eq=False)
class Piece:
    """The pieces of the spline on which entries lie, one for each of [n, C]."""

    x: Floats
    """Where it begins."""
    y: Floats
    """At which height."""
    width: Floats
    height: Floats
    start: Floats
    """Its slope where it begins."""
    end: Floats
    """Its slope where it ends."""

    @property
    def slope(self) -> Floats:
        """Its mean slope."""
        return self.height / self.width

    @property
    def bend(self) -> Floats:
        """By how much its slopes at both ends exceed the mean slope, together."""
        return self.start + self.end - 2 * self.slope


def couple_spline(law: Spline, x: Floats, parameters: Floats) -> tuple[Floats, Floats]:
    """Apply the spline to x [n, C] with parameters [n, (3K − 1)·C]: -> (y [n, C], logdet [n])."""
    places = np.clip(x, -law.bound, law.bound)
    piece = pieces(law, parameters, places, axis=0)
    part = (places - piece.x) / piece.width
    across = part * (1 - part)
    below = piece.slope + piece.bend * across
    y = piece.y + piece.height * (piece.slope * part**2 + piece.start * across) / below
    above = piece.end * part**2 + 2 * piece.slope * across + piece.start * (1 - part) ** 2
    inside = np.abs(x) <= law.bound
    return np.where(inside, y, x), np.where(inside, np.log(above * (piece.slope / below) ** 2), 0).sum(axis=1)


def decouple_spline(law: Spline, y: Floats, parameters: Floats) -> Floats:
    """Undo the spline: y [n, C] -> x [n, C], by the root of a quadratic equation that lies on the piece."""
    places = np.clip(y, -law.bound, law.bound)
    piece = pieces(law, parameters, places, axis=1)
    rise = places - piece.y
    a = piece.height * (piece.slope - piece.start) + rise * piece.bend
    b = piece.height * piece.start - rise * piece.bend
    c = -piece.slope * rise
    part = 2 * c / (-b - np.sqrt(np.maximum(b**2 - 4 * a * c, 0)))
    return np.where(np.abs(y) <= law.bound, piece.x + part * piece.width, y)


def pieces(law: Spline, parameters: Floats, places: Floats, axis: int) -> Piece:
    """Find the pieces on which entries lie.

    Args:
        law: The spline.
        parameters: [n, (3K − 1)·C]: raw widths, heights and inner slopes, the C entries of each side by side.
        places: [n, C] within the bound.
        axis: Along what they lie: 0 for x, 1 for y.

    Returns:
        A piece for each entry, [n, C].
    """
    raw = parameters.reshape(len(parameters), 3 * law.bins - 1, places.shape[1])
    knots = ends(law, raw[:, : law.bins]), ends(law, raw[:, law.bins : 2 * law.bins])
    index = (places[:, None] >= knots[axis][:, 1:-1]).sum(axis=1, keepdims=True)
    (x, x1), (y, y1), (start, end) = (
        [np.take_along_axis(values, index + step, axis=1)[:, 0] for step in (0, 1)]
        for values in (*knots, slopes(law, raw[:, 2 * law.bins :]))
    )
    return Piece(x, y, x1 - x, y1 - y, start, end)


def ends(law: Spline, raw: Floats) -> Floats:
    """Return the ends [n, K + 1, C] of bins whose shares of the interval are a softmax of ``raw`` [n, K, C]."""
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    share = law.smallest_share + (1 - law.smallest_share * law.bins) * powers / powers.sum(axis=1, keepdims=True)
    knots = np.zeros((len(raw), law.bins + 1, raw.shape[2]), raw.dtype)
    np.cumsum(share, axis=1, out=knots[:, 1:])
    knots = law.bound * (2 * knots - 1)
    knots[:, -1] = law.bound  # Whatever the shares' sum was rounded to.
    return knots


def slopes(law: Spline, raw: Floats) -> Floats:
    """Return the slopes [n, K + 1, C] at all knots from raw ones [n, K − 1, C] at the inner knots; 0 stands for 1."""
    found = np.ones((len(raw), law.bins + 1, raw.shape[2]), raw.dtype)
    found[:, 1:-1] = law.smallest_slope + np.logaddexp(
        raw + raw.dtype.type(np.log(np.expm1(1 - law.smallest_slope))), 0
    )
    return found
