"""Flow layers, models, masks and losses for Keras, on whichever backend Keras runs."""

try:
    import keras
except ImportError as error:
    raise ImportError(
        "gyoza.modelling needs Keras and a backend for it. Install the extra cpu or gpu of gyoza-serve: "
        f"pip install '.[cpu]' in the checkout. Received: {type(error).__name__}: {error}"
    ) from error

__all__ = ["keras"]
