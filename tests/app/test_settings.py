"""Settings: from arguments, the environment, the defaults, and all documented."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, told, unread

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
    assert Settings(max_body_bytes=7).intake_bytes == 56
    assert Settings(max_body_bytes=7, max_intake_bytes=9).intake_bytes == 9
    assert Settings(max_body_bytes=7, max_intake_bytes=5).intake_bytes == 7


def test_a_port_of_kubernetes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a service is called gyoza, Kubernetes sets GYOZA_PORT to an address: the default holds, as without it."""
    monkeypatch.setenv("GYOZA_PORT", "tcp://10.0.0.1:80")
    assert Settings().port == 8000
    assert Settings(port=82).port == 82
    with pytest.raises(ValidationError):
        Settings(port="http://10.0.0.1:80")


def test_variables_that_nothing_reads_are_found() -> None:
    """They look like settings and are none; in small letters settings are read too, and Kubernetes' variables are its own."""
    links = [
        "GYOZA_SERVICE_HOST",
        "GYOZA_SERVICE_PORT",
        "GYOZA_PORT_80_TCP_ADDR",
        "GYOZA_TEST_SERVICE_HOST",
        "GYOZA_TEST_PORT",
    ]
    given = ["GYOZA_MAX_BATCHROWS", "gyoza_port", "GYOZA_WORKERS", "PATH", "GYOZA_OTHER_PORT", *links]
    assert unread(given) == ["GYOZA_MAX_BATCHROWS", "GYOZA_OTHER_PORT"]


@pytest.mark.parametrize(
    "wrong", [{"port": 70_000}, {"max_rows": 0}, {"log_format": "xml"}, {"request_timeout_s": "inf"}, {"colour": "red"}]
)
def test_impossible_values_are_refused(wrong: dict[str, object]) -> None:
    """A value that can't be, or a setting that does not exist, is refused."""
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_what_is_wrong_is_told_by_the_name_of_the_variable() -> None:
    """Whether it came from a variable or not, and in the words of the setting's own check."""
    with pytest.raises(ValidationError) as raised:
        Settings(tls_key=Path("key"))
    (item,) = raised.value.errors()
    assert told(item["loc"], item["msg"]) == (
        "GYOZA_TLS_KEY: must be set together with GYOZA_TLS_CERTIFICATE. Set both, or neither."
    )


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    """Every setting says what it does, and has its row in the README's table."""
    assert (Settings.model_fields[name].description or "").endswith(".")
    assert re.search(rf"^\| `(GYOZA_)?{name.upper()}`", README, re.MULTILINE)


def test_no_other_setting_is_documented() -> None:
    """The README's table has no row for a setting that does not exist."""
    rows = re.findall(r"^\| `(?:GYOZA_)?([A-Z_]+)`", README, re.MULTILINE)
    assert [row for row in rows if row.lower() not in Settings.model_fields] == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"tls_certificate": "a"}, "must be set together with GYOZA_TLS_CERTIFICATE"),
        ({"tls_key": "a"}, "must be set together with GYOZA_TLS_CERTIFICATE"),
        ({"public_docs": False}, "must be true while there are no keys"),
        ({"public_metrics": False}, "must be true while there are no keys"),
        ({"repository_control": True}, "must be false while nobody may use it"),
        ({"repository_control": True, "api_keys_file": "a"}, "must be false while nobody may use it"),
        ({"cors_origins": "https://a.example/"}, "without a path or a slash at the end. Received: https://a.example/."),
        ({"cors_origins": "https://a.example, b.example"}, "Received: b.example."),
        ({"cors_origins": "null"}, "must be * or origins"),
        ({"root_path": "gyoza"}, "must begin with /"),
        ({"root_path": "/a b"}, "must begin with /"),
        ({"root_path": "/models"}, "must not begin with a path of the service itself"),
        ({"root_path": "/v2/x"}, "must not begin with a path of the service itself"),
    ],
)
def test_settings_that_contradict_others_are_refused(wrong: dict[str, object], text: str) -> None:
    """What one setting needs of another, or of the world, is told when it is missing."""
    with pytest.raises(ValidationError, match=re.escape(text)):
        Settings(**wrong)  # type: ignore[arg-type]


def test_settings_that_go_together() -> None:
    """Keys close what is public and let control be on; a prefix may end with a slash; origins may have spaces."""
    settings = Settings(admin_keys_file=Path("a"), public_docs=False, public_metrics=False, repository_control=True)
    assert settings.has_keys
    assert Settings(api_keys_file=Path("a")).has_keys
    assert not Settings().has_keys
    assert Settings(tls_certificate=Path("a"), tls_key=Path("b")).tls_key == Path("b")
    assert [Settings(root_path=path).root_path for path in ("", "/", "/a/", "/a/b")] == ["", "", "/a", "/a/b"]
    assert Settings(cors_origins=" https://a.example , http://b:1,").origins == ("https://a.example", "http://b:1")
    assert Settings().origins == ()


def test_trusted_modules_are_names() -> None:
    """Names of modules between commas; nothing that is no name."""
    assert Settings().trusted == ()
    assert Settings(trusted_modules=" my_layers, more.layers ").trusted == ("my_layers", "more.layers")
    with pytest.raises(ValidationError, match="trusted_modules"):
        Settings(trusted_modules="my-layers.py")
