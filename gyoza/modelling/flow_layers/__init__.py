"""Invertible layers that know their Jacobian determinant, and the models made of them."""

from gyoza.modelling.flow_layers.additive import AdditiveCoupling
from gyoza.modelling.flow_layers.affine import AffineCoupling
from gyoza.modelling.flow_layers.base import FlowLayer
from gyoza.modelling.flow_layers.coupling import Coupling
from gyoza.modelling.flow_layers.disentangling import DisentanglingFlowModel
from gyoza.modelling.flow_layers.linear import InvertibleLinear
from gyoza.modelling.flow_layers.models import FlowModel
from gyoza.modelling.flow_layers.normalization import ActivationNormalization
from gyoza.modelling.flow_layers.permutation import (
    CheckerBoardPermutation,
    HeavisidePermutation,
    Permutation,
    ShufflePermutation,
)
from gyoza.modelling.flow_layers.reflection import Reflection
from gyoza.modelling.flow_layers.reshape import Flatten, Reshape, Squeeze
from gyoza.modelling.flow_layers.spline import RationalQuadraticSplineCoupling

__all__ = [
    "ActivationNormalization",
    "AdditiveCoupling",
    "AffineCoupling",
    "CheckerBoardPermutation",
    "Coupling",
    "DisentanglingFlowModel",
    "Flatten",
    "FlowLayer",
    "FlowModel",
    "HeavisidePermutation",
    "InvertibleLinear",
    "Permutation",
    "RationalQuadraticSplineCoupling",
    "Reflection",
    "Reshape",
    "ShufflePermutation",
    "Squeeze",
]
