"""Metrics of disentanglement, from arrays alone: no Keras, and scikit-learn only for SAP of classes and for DCI.

A code is a concatenation of blocks, one per factor and the residual's. ``predictability`` asks which block tells which
factor, ``pair_correlations`` how alike blocks are that should be, ``swap_consistency`` whether a factor that was
swapped arrives alone, ``round_trip_error`` what the flow itself loses. ``mig``, ``sap`` and ``dci`` look at single
dimensions instead, as most of the literature does.
"""

from gyoza.metrics.block_scores import BlockScores
from gyoza.metrics.blocks import Blocks, join, split, swap
from gyoza.metrics.gaps import Gaps, mig, sap
from gyoza.metrics.importances import DCI, dci
from gyoza.metrics.labels import Labels
from gyoza.metrics.pairs import PairCorrelations, pair_correlation, pair_correlations
from gyoza.metrics.probes import Probes, predictability
from gyoza.metrics.round_trips import round_trip_error
from gyoza.metrics.scores import accuracy, chance_corrected, r_squared
from gyoza.metrics.swaps import SwapConsistency, Swapped, SwapScores, draw_donors, send_swap, swap_consistency

__all__ = [
    "DCI",
    "BlockScores",
    "Blocks",
    "Gaps",
    "Labels",
    "PairCorrelations",
    "Probes",
    "SwapConsistency",
    "SwapScores",
    "Swapped",
    "accuracy",
    "chance_corrected",
    "dci",
    "draw_donors",
    "join",
    "mig",
    "pair_correlation",
    "pair_correlations",
    "predictability",
    "r_squared",
    "round_trip_error",
    "sap",
    "send_swap",
    "split",
    "swap",
    "swap_consistency",
]
