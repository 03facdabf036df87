"""The spline coupling: half of the entries decides along which monotone curve the other half moves."""

from collections.abc import Sequence
from math import expm1, log
from typing import Any

import keras
from keras import ops

from gyoza.inference import plan
from gyoza.modelling.axes import as_integers
from gyoza.modelling.flow_layers.coupling import LAW, Coupling, check_stacked
from gyoza.modelling.flow_layers.lowering import inherits
from gyoza.modelling.masks import Mask

__all__ = ["RationalQuadraticSplineCoupling"]

SMALLEST_SHARE = 1e-2
"""The least share of the interval that a bin takes, times the number of bins at most 1."""
SMALLEST_SLOPE = 1e-2
"""The least slope at a knot."""
CURVE = ("_inside", "_curve", "_knots", "_places", "_values_and_logdet")
"""What makes the curve, beside the methods of every coupling."""


@keras.saving.register_keras_serializable(package="gyoza")
class RationalQuadraticSplineCoupling(Coupling):
    r"""A coupling whose law is a monotone rational-quadratic spline on [−b, b], and the identity outside.

    K bins share the interval, in x and in y; between the knots :math:`(x_k, y_k)` and :math:`(x_{k+1}, y_{k+1})`, with
    slopes :math:`d_k` there, :math:`s = (y_{k+1} - y_k) / (x_{k+1} - x_k)` and :math:`\xi = (x - x_k) / (x_{k+1} - x_k)`,

    .. math::
        y = y_k + \frac{(y_{k+1} - y_k) (s \xi^2 + d_k \xi (1 - \xi))}{s + (d_{k+1} + d_k - 2 s) \xi (1 - \xi)}.

    The slopes at ±b are 1, so the curve leaves the interval smoothly. Where the network gives 0, the layer is the
    identity. Entries should lie mostly within the interval: put an ``ActivationNormalization`` before.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        compute_coupling_parameters: See ``Coupling``; its output has the shape of the layer's input with a last axis
            3·K − 1 times as long: first the raw widths of bin 1 of all entries, those of bin 2, … of bin K, then the raw
            heights, then the raw slopes at the K − 1 inner knots. Widths and heights are a softmax of theirs, of which
            each bin gets at least .01; slopes a softplus, at least .01.
        mask: See ``Coupling``.
        bins: K, the number of bins, 2 to 100.
        bound: b, where the interval ends, above 0.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet.

    Raises:
        ValueError: ``bins`` or ``bound`` is out of range, or as for ``Coupling``.
        TypeError: ``bins`` is no integer.

    References:
        Durkan, C., Bekasov, A., Murray, I. & Papamakarios, G. (2019) "Neural spline flows" arXiv:1906.04032

        Gregory, J. & Delbourgo, R. (1982) "Piecewise rational quadratic interpolation to monotonic data" IMA Journal of
        Numerical Analysis 2(2)

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import RationalQuadraticSplineCoupling
        >>> from gyoza.modelling.masks import HeavisideMask
        >>> from gyoza.modelling.networks import dense_network
        >>> at = {"shape": [4], "axes": [1]}
        >>> network = dense_network(4, 3 * 8 - 1)
        >>> layer = RationalQuadraticSplineCoupling(
        ...     **at, compute_coupling_parameters=network, mask=HeavisideMask(**at), bins=8
        ... )
        >>> outputs, _ = layer(np.array([[9.0, 0.0, 0.5, 9.0]]))  # the identity, until its network is trained
        >>> np.asarray(outputs).round(4).tolist()
        [[9.0, 0.0, 0.5, 9.0]]
    """

    def __init__(  # noqa: PLR0913 - a coupling's four, and what describes the spline
        self,
        shape: Sequence[int],
        axes: Sequence[int],
        compute_coupling_parameters: Any,
        mask: Mask,
        *,
        bins: int = 8,
        bound: float = 4.0,
        **kwargs: Any,
    ) -> None:
        """Check and keep the number of bins and the interval."""
        super().__init__(shape, axes, compute_coupling_parameters, mask, **kwargs)
        (self._bins_,) = as_integers([bins], "bins")
        if not 2 <= self._bins_ <= 1 / SMALLEST_SHARE:
            raise ValueError(f"bins must be between 2 and {1 / SMALLEST_SHARE:.0f}. Received: bins={bins}")
        if not 0 < bound < float("inf"):
            raise ValueError(f"bound must be finite and above 0. Received: bound={bound}")
        self._bound_ = float(bound)
        self._parameter_count_ = 3 * self._bins_ - 1

    def _couple_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Return the spline of ``inputs``, [batch, …]."""
        return self._values_and_logdet(inputs, coupling_parameters)[0]

    def _decouple_(self, outputs: Any, coupling_parameters: Any) -> Any:
        """Return the inverse spline of ``outputs``, [batch, …]."""
        inside, places = self._inside(outputs)
        x, *_ = self._curve(places, coupling_parameters, inverse=True)
        return ops.where(inside, ops.cast(x, self.compute_dtype), outputs)

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return the sum of the logarithmic slopes at the transformed entries; this runs the network.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| [batch].
        """
        inputs = self._prepare(x)
        return self._values_and_logdet(inputs, self._coupling_parameters(inputs))[1]

    def _compute_logdet_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Return the sum of the logarithmic slopes, [batch], without another run of the network."""
        if not inherits(self, RationalQuadraticSplineCoupling, ["compute_jacobian_determinant"]):
            return super()._compute_logdet_(inputs, coupling_parameters)
        return self._values_and_logdet(inputs, coupling_parameters)[1]

    def _couple_with_logdet_(self, inputs: Any, coupling_parameters: Any) -> tuple[Any, Any]:
        """Return the spline of ``inputs`` [batch, …] and its logdet [batch], from one look for the bins."""
        own = ["_couple_", "_compute_logdet_", "compute_jacobian_determinant"]
        if not inherits(self, RationalQuadraticSplineCoupling, own):
            return super()._couple_with_logdet_(inputs, coupling_parameters)
        return self._values_and_logdet(inputs, coupling_parameters)

    def _check_parameters_(self, parameters: Any, input_shape: tuple[int | None, ...]) -> None:
        """Check that the network gives as many parameters as the spline needs."""
        check_stacked(parameters, input_shape, self.name, count=self._parameter_count_)

    def _split_parameters_(self, coupling_parameters: Any) -> tuple[Any, ...]:
        """Return raw widths, heights and slopes, each of the shape of the inputs."""
        return tuple(ops.split(coupling_parameters, self._parameter_count_, axis=-1))

    def _plan_law_(self) -> plan.Law | None:
        """Return the plan's spline law, unless a subclass changes it."""
        own = inherits(self, RationalQuadraticSplineCoupling, (*LAW, *CURVE))
        return plan.Spline(self._bins_, self._bound_, SMALLEST_SHARE, SMALLEST_SLOPE) if own else None

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "bins": self._bins_, "bound": self._bound_}

    def _inside(self, values: Any) -> tuple[Any, Any]:
        """Return which entries lie on the interval, and all entries clipped to it.

        Clipped, since a gradient that is not a number comes through a ``where`` even from the branch not taken; in single
        precision or better, since half precision would make the two directions of other curves.
        """
        precise = ops.cast(values, keras.backend.result_type(self.compute_dtype, "float32"))
        return ops.abs(precise) <= self._bound_, ops.clip(precise, -self._bound_, self._bound_)

    def _knots(self, coupling_parameters: Any) -> tuple[Any, Any, Any]:
        """Return where the knots lie in x and in y, and the slopes there, each [K + 1, batch, …]."""
        # Bins on the first axis, so that all that follows works entry by entry on memory in a row.
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        raw = ops.cast(ops.stack(self._split_parameters_(coupling_parameters)), precise)
        widths, heights, slopes = raw[: self._bins_], raw[self._bins_ : 2 * self._bins_], raw[2 * self._bins_ :]
        # Such that a raw slope of 0 is a slope of 1.
        inner = SMALLEST_SLOPE + ops.softplus(slopes + log(expm1(1 - SMALLEST_SLOPE)))
        ends = ops.ones_like(inner[:1])
        return self._places(widths), self._places(heights), ops.concatenate([ends, inner, ends])

    def _places(self, raw: Any) -> Any:
        """Return the ends of bins [K + 1, batch, …] whose shares of the interval are a softmax of ``raw`` [K, batch, …]."""
        powers = ops.exp(raw - ops.stop_gradient(ops.max(raw, axis=0)))
        share = SMALLEST_SHARE + (1 - SMALLEST_SHARE * self._bins_) * (powers / ops.sum(powers, axis=0))
        inner = self._bound_ * (2 * ops.cumsum(share[:-1], axis=0) - 1)
        end = self._bound_ * ops.ones_like(inner[:1])
        return ops.concatenate([-end, inner, end])

    def _curve(self, places: Any, coupling_parameters: Any, inverse: bool) -> tuple[Any, Any, Any]:
        """Return x, y and the logarithmic slope at entries [batch, …] of which y (``inverse``) or x is given."""
        x_knots, y_knots, slopes = self._knots(coupling_parameters)
        in_bin = bin_of(places, y_knots if inverse else x_knots)
        x0, x1, y0, y1, d0, d1 = (
            ops.sum(ops.where(in_bin, values, ops.zeros_like(values)), axis=0)
            for knots in (x_knots, y_knots, slopes)
            for values in (knots[:-1], knots[1:])
        )
        width, height = x1 - x0, y1 - y0
        s = height / width
        bend = d0 + d1 - 2 * s
        if inverse:
            rise = places - y0
            a, b, c = height * (s - d0) + rise * bend, height * d0 - rise * bend, -s * rise
            xi = 2 * c / (-b - ops.sqrt(ops.maximum(b * b - 4 * a * c, 0)))
        else:
            xi = (places - x0) / width
        across = xi * (1 - xi)
        below = s + bend * across
        y = y0 + height * (s * xi * xi + d0 * across) / below
        slope = 2 * ops.log(s) + ops.log(d1 * xi * xi + 2 * s * across + d0 * (1 - xi) ** 2) - 2 * ops.log(below)
        return x0 + xi * width, y, slope

    def _values_and_logdet(self, inputs: Any, coupling_parameters: Any) -> tuple[Any, Any]:
        inside, places = self._inside(inputs)
        _, y, slope = self._curve(places, coupling_parameters, inverse=False)
        changed = self._mask_.call(ops.where(inside, slope, ops.zeros_like(slope)), is_positive=False)
        logdet = ops.sum(changed, axis=tuple(range(1, len(inputs.shape))))
        y, logdet = (ops.cast(part, self.compute_dtype) for part in (y, logdet))
        return ops.where(inside, y, inputs), logdet


def bin_of(places: Any, knots: Any) -> Any:
    """Return in which of K bins entries [batch, …] lie, [K, batch, …] of truth values, from knots [K + 1, batch, …]."""
    beyond = places >= knots[1:-1]
    first = ops.ones_like(beyond[:1])
    return ops.logical_and(ops.concatenate([first, beyond]), ops.concatenate([~beyond, first]))
