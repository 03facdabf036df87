"""What a factor may be called: one rule for the models, the service and the files beside a flow. No Keras here."""

import re

__all__ = ["FACTOR_NAME", "RESERVED_NAMES"]

FACTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What a whole name must match."""
RESERVED_NAMES = frozenset({"latents", "codes", "logdet", "log_likelihood"})
"""Names that stand for something else wherever factors are named."""
