"""The errors as a tree."""

import pickle
import re

from gyoza.client import errors
from gyoza.client.errors import FieldProblem, GyozaClientError, InvalidInput, Problem, ProblemError, UnexpectedAnswer

PROBLEM = Problem("invalid-input", 422, "It is wrong", "Mend it.", (FieldProblem("latents", "too few"),), "abc", 2.0)


def test_the_drawing_is_the_tree() -> None:
    """The docstring draws every class below the one that it is a case of."""
    drawn = re.findall(r"^ *([│├└─ ]*)(\w+)  +\d*|^ *([│├└─ ]*)(\w+)$", errors.__doc__ or "", re.MULTILINE)
    names = {first or second for _, first, _, second in drawn}
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, GyozaClientError)
    }
    assert classes.keys() <= names
    below = (errors.__doc__ or "").partition("ProblemError")[2]
    for name, kind in classes.items():
        assert (name in below) == (issubclass(kind, ProblemError) and kind is not ProblemError), name


def test_a_problem_is_read_by_its_parts() -> None:
    """Every part of a problem is an attribute, and the text has what a person needs to mend it."""
    error = InvalidInput(PROBLEM)
    assert (error.kind, error.status, error.title, error.detail) == ("invalid-input", 422, "It is wrong", "Mend it.")
    assert error.fields == (("latents", "too few"),)
    assert (error.request_id, error.retry_after) == ("abc", 2.0)
    assert str(error) == "422 invalid-input: Mend it. (request abc)"
    assert str(ProblemError(Problem("odd", 418, "A teapot", ""))) == "418 odd: A teapot"


def test_errors_travel_between_processes() -> None:
    """What a worker process raises arrives as it was."""
    error = pickle.loads(pickle.dumps(InvalidInput(PROBLEM)))  # noqa: S301 - it is the test's own.
    assert (type(error), error.problem, str(error)) == (InvalidInput, PROBLEM, str(InvalidInput(PROBLEM)))
    answer = pickle.loads(pickle.dumps(UnexpectedAnswer("a page", 502, 1.5)))  # noqa: S301
    assert (str(answer), answer.status, answer.retry_after) == ("a page", 502, 1.5)
