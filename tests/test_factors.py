"""What a factor may be called."""

from typing import Any

import pytest

from gyoza.factors import RESIDUAL, check_factor_name


@pytest.mark.parametrize("name", ["digit", "0", "eye_color", "x-axis", RESIDUAL])
def test_names_of_letters_digits_and_dashes_pass(name: str) -> None:
    """Letters, digits, _ and - make a name."""
    check_factor_name(name)


@pytest.mark.parametrize("name", ["", "_x", "a.b", "a b", "größe", "digit\n", "latents", "log_likelihood", 3, None])
def test_other_names_are_refused(name: Any) -> None:
    """What is no such text, or stands for something else, is shown as received."""
    with pytest.raises(ValueError, match="A factor's name must match") as caught:
        check_factor_name(name)
    assert str(caught.value).endswith(f"Received: name={name!r}")
