"""Settings: from arguments, the environment, the defaults, and all documented."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument wins over GYOZA_<NAME>, which wins over the default."""
    assert Settings().port == 8000
    monkeypatch.setenv("GYOZA_PORT", "81")
    assert Settings().port == 81
    assert Settings(port=82).port == 82


def test_the_defaults_are_those_promised() -> None:
    """Limits and defaults are what the documentation says."""
    settings = Settings()
    assert (settings.host, settings.strict_readiness, settings.request_timeout_s) == ("127.0.0.1", True, 30)
    assert (settings.max_body_bytes, settings.max_json_bytes) == (64 * 2**20, 16 * 2**20)
    assert (settings.max_rows, settings.max_batch_rows, settings.queue_rows) == (65_536, 1_024, 2_048)
    assert settings.batch_delay_ms == 0
    assert Settings(max_queue_rows=5).queue_rows == 5


@pytest.mark.parametrize(
    "wrong", [{"port": 70_000}, {"max_rows": 0}, {"log_format": "xml"}, {"request_timeout_s": "inf"}, {"colour": "red"}]
)
def test_impossible_values_are_refused(wrong: dict[str, object]) -> None:
    """A value that can't be, or a setting that does not exist, is refused."""
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    """Every setting says what it does, and has its row in the README's table."""
    assert (Settings.model_fields[name].description or "").endswith(".")
    assert re.search(rf"^\| `(GYOZA_)?{name.upper()}`", README, re.MULTILINE)


def test_no_other_setting_is_documented() -> None:
    """The README's table has no row for a setting that does not exist."""
    rows = re.findall(r"^\| `(?:GYOZA_)?([A-Z_]+)`", README, re.MULTILINE)
    assert [row for row in rows if row.lower() not in Settings.model_fields] == []
