"""Settings: where values come from, which are refused, and that no secret is ever shown."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from smallfirst.errors import SettingsError
from smallfirst.settings import (
    COMPONENTS,
    RouterSettings,
    Settings,
    WorkerSettings,
    load_settings,
)

PASSWORD = "hunter2"  # noqa: S105 - what must not be shown


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with none of our variables set, whatever the machine that runs the tests has."""
    for name in os.environ:
        if name.upper().startswith("SMALLFIRST_"):
            monkeypatch.delenv(name)


def refused(cls: type[Settings], secrets_dir: Path = Path("/nonexistent")) -> dict[str, str]:
    """Load settings that must be refused; return the rules by variable."""
    with pytest.raises(SettingsError) as caught:
        load_settings(cls, secrets_dir)
    assert PASSWORD not in str(caught.value)
    return {problem.variable: problem.rule for problem in caught.value.problems}


def test_defaults() -> None:
    """A router starts with no variable set at all."""
    settings = load_settings(RouterSettings)

    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert (settings.namespace, settings.result_ttl_seconds) == ("sf", 86_400)


def test_every_setting_has_a_sentence() -> None:
    """Documentation and help come from here, so each field says what it is."""
    for cls in COMPONENTS:
        assert [name for name, field in cls.model_fields.items() if not field.description] == []


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is the prefix and the field; an empty one counts as unset."""
    monkeypatch.setenv("SMALLFIRST_POOL", "cpu")
    monkeypatch.setenv("SMALLFIRST_THREADS", "4")
    monkeypatch.setenv("SMALLFIRST_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("SMALLFIRST_NAMESPACE", "")

    settings = load_settings(WorkerSettings)

    assert (settings.pool, settings.threads, settings.log_level) == ("cpu", 4, "warning")
    assert settings.namespace == "sf"


def test_one_environment_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of one component is no mistake for another, which does without it."""
    monkeypatch.setenv("SMALLFIRST_POOL", "cpu")
    monkeypatch.setenv("SMALLFIRST_MAX_STARTS", "3")

    assert load_settings(RouterSettings).max_starts == 3
    assert load_settings(WorkerSettings).pool == "cpu"


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value given to the program wins over the environment's; None is not given."""
    monkeypatch.setenv("SMALLFIRST_NAMESPACE", "mine")

    assert load_settings(Settings, namespace="yours").namespace == "yours"
    assert load_settings(Settings, namespace=None).namespace == "mine"


@pytest.mark.parametrize(
    ("variable", "rule"),
    [
        ("SMALLFIRST_REDS_URL", "no such setting, did you mean 'SMALLFIRST_REDIS_URL'?"),
        ("SMALLFIRST_WORKER_THREADS", "no such setting, did you mean 'SMALLFIRST_THREADS'?"),
        ("SMALLFIRST_QQQQ", "no such setting"),
    ],
)
def test_unknown_variables(monkeypatch: pytest.MonkeyPatch, variable: str, rule: str) -> None:
    """A variable that nobody reads is refused with the nearest known name."""
    monkeypatch.setenv(variable, PASSWORD)

    assert refused(RouterSettings) == {variable: rule}


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("SMALLFIRST_READ_COUNT", "many", "must be a valid integer"),
        ("SMALLFIRST_READ_COUNT", "0", "must be greater than or equal to 1"),
        ("SMALLFIRST_LEASE_SECONDS", "nan", "must be a finite number"),
        ("SMALLFIRST_RESULT_TTL_SECONDS", "1", "must be greater than or equal to 60"),
        ("SMALLFIRST_NAMESPACE", "My Fleet", "must match pattern"),
        ("SMALLFIRST_LOG_FORMAT", "jsn", "did you mean 'json'?"),
        ("SMALLFIRST_REDIS_URL", f"http://:{PASSWORD}@host", "must begin with redis://"),
        ("SMALLFIRST_REDIS_URL", f"redis://:{PASSWORD}@host:port", "redis://host:6379/0"),
        ("SMALLFIRST_REDIS_URL", f"redis://:{PASSWORD}@host:6379/zero", "redis://host:6379/0"),
        ("SMALLFIRST_REDIS_URL", f"redis://:{PASSWORD}@host:99999", "redis://host:6379/0"),
        ("SMALLFIRST_REDIS_URL", f"redis://:{PASSWORD}@", "redis://host:6379/0"),
        ("SMALLFIRST_REDIS_URL", f"redis://[{PASSWORD}", "redis://host:6379/0"),
    ],
)
def test_bad_values(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, rule: str) -> None:
    """A bad value is refused by its variable and its rule, and is not shown."""
    monkeypatch.setenv(variable, value)

    rules = refused(RouterSettings)

    assert list(rules) == [variable]
    assert rule in rules[variable]


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever mends an environment sees everything that is wrong with it, missing values too."""
    monkeypatch.setenv("SMALLFIRST_THREADS", "0")
    monkeypatch.setenv("SMALLFIRST_TREADS", "1")

    rules = refused(WorkerSettings)

    assert set(rules) == {"SMALLFIRST_TREADS", "SMALLFIRST_POOL", "SMALLFIRST_THREADS"}
    assert rules["SMALLFIRST_POOL"] == "is required"


def test_a_heartbeat_within_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that gave signs of life more seldom than its lease would lose its own work."""
    monkeypatch.setenv("SMALLFIRST_POOL", "cpu")
    monkeypatch.setenv("SMALLFIRST_LEASE_SECONDS", "2")

    assert refused(WorkerSettings) == {
        "SMALLFIRST_HEARTBEAT_SECONDS": "must be less than SMALLFIRST_LEASE_SECONDS"
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMALLFIRST_SERVICE_HOST", "10.0.0.1"),
        ("SMALLFIRST_SERVICE_PORT", "80"),
        ("SMALLFIRST_REDIS_SERVICE_PORT_REDIS", "6379"),
        ("SMALLFIRST_REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("SMALLFIRST_REDIS_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("SMALLFIRST_REDIS_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("SMALLFIRST_DATA", "/data"),
    ],
)
def test_variables_that_are_not_ours(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What Kubernetes sets for a Service called smallfirst-redis is nobody's mistake."""
    monkeypatch.setenv(name, value)

    assert load_settings(Settings).namespace == "sf"


def test_a_port_of_ones_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number where Kubernetes would have put an address is a setting that does not exist."""
    monkeypatch.setenv("SMALLFIRST_REDIS_PORT", "6380")

    assert set(refused(Settings)) == {"SMALLFIRST_REDIS_PORT"}


def test_secrets_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of the secrets directory gives a value, and the environment's wins over it."""
    url = f"redis://:{PASSWORD}@secret:6379/1"
    (tmp_path / "smallfirst_redis_url").write_text(url + "\n")
    (tmp_path / "another_program").write_text("x")

    assert load_settings(Settings, tmp_path).redis_url.get_secret_value() == url

    monkeypatch.setenv("SMALLFIRST_REDIS_URL", "redis://other/0")
    assert load_settings(Settings, tmp_path).redis_address == "redis://other/0"


def test_misspelt_secrets(tmp_path: Path) -> None:
    """A secret under a wrong name is refused: else the fleet would start without its password."""
    (tmp_path / "smallfirst_redisurl").write_text(f"redis://:{PASSWORD}@secret:6379/1")

    assert refused(Settings, tmp_path) == {
        "SMALLFIRST_REDISURL": "no such setting, did you mean 'SMALLFIRST_REDIS_URL'?"
    }


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"redis://user:{PASSWORD}@host:6379/2", "redis://host:6379/2"),
        (f"rediss://:{PASSWORD}@host", "rediss://host"),
        (f"redis://:{PASSWORD}@[::1]:6379/0?password={PASSWORD}", "redis://[::1]:6379/0"),
    ],
)
def test_the_password_is_never_shown(url: str, address: str) -> None:
    """Neither the settings as text or JSON, nor the address for logs, hold the password."""
    settings = load_settings(Settings, redis_url=url)

    assert settings.redis_url.get_secret_value() == url
    assert settings.redis_address == address
    assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_are_frozen() -> None:
    """Settings are read once at the start and never change."""
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(Settings).namespace = "other"  # type: ignore[misc]


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path may begin at the home folder of the user, and comes back without the tilde."""
    monkeypatch.setenv("HOME", str(tmp_path))

    settings = load_settings(WorkerSettings, pool="cpu")

    assert settings.cache_dir == tmp_path / ".cache" / "smallfirst"
