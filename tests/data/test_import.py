"""Importing the package."""

import subprocess
import sys

import pytest

import gyoza.data


def run(code: str) -> str:
    """Run code in a Python of its own and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_drawing_pairs_imports_no_keras() -> None:
    """The sampler, the sizes and the split come without Keras."""
    code = "import sys, gyoza.data as data; data.PairSampler({'f': [1, 1, 2, 2]}); print('keras' in sys.modules)"
    assert run(code) == "False"


def test_the_dataset_comes_with_keras() -> None:
    """FactorPairs is imported when it is asked for, and is a Keras data set."""
    code = "from gyoza.data import FactorPairs; import keras; print(issubclass(FactorPairs, keras.utils.PyDataset))"
    assert run(code) == "True"


def test_a_missing_keras_is_explained() -> None:
    """Without Keras the import of FactorPairs says which extra to install."""
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "try: from gyoza.data import FactorPairs\n"
        "except ImportError as error: print(error)"
    )
    assert "Install the extra cpu or gpu of gyoza-serve: pip install '.[cpu]' in the checkout" in run(code)


def test_all_that_is_promised_is_there() -> None:
    """Every name of __all__ exists, and no other is made up."""
    assert all(hasattr(gyoza.data, name) for name in gyoza.data.__all__)
    with pytest.raises(AttributeError, match=r"module 'gyoza\.data' has no attribute 'Pairs'"):
        _ = gyoza.data.Pairs
