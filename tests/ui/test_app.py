"""Flags, environment variables, logins and homes: how the app is started."""

from __future__ import annotations

from pathlib import Path

import pytest

import app

NOWHERE = Path("/nowhere")


def started(*arguments: str, disk: Path = NOWHERE, **environment: str) -> app.Options:
    return app.options(arguments, environment, disk)


def test_by_default_only_this_machine_reaches_the_page_and_no_login_is_asked() -> None:
    told = started()
    assert (told.host, told.port, told.share, told.auth) == ("127.0.0.1", 7860, False, None)
    assert told.home == Path("workspace").resolve()
    assert not told.reachable


def test_every_flag_is_an_environment_variable_too(tmp_path: Path) -> None:
    by_flag = started("--host", "::1", "--port", "8000", "--auth", "ana:secret", "--home", str(tmp_path))
    by_name = started(SHUR_HOST="::1", SHUR_PORT="8000", SHUR_AUTH="ana:secret", SHUR_HOME=str(tmp_path))
    assert by_flag == by_name
    assert by_flag.auth == ("ana", "secret")
    assert started(SHUR_SHARE="1").share


def test_a_flag_wins_over_its_environment_variable() -> None:
    assert started("--port", "8000", SHUR_PORT="9000").port == 8000


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--share",), {}),
        (("--host", "0.0.0.0"), {}),
        (("--host", "192.168.1.5"), {}),
        (("--host", "my-machine"), {}),
        ((), {"SPACE_ID": "ana/shur"}),
        (("--host", "127.0.0.1"), {"SPACE_ID": "ana/shur"}),
    ],
)
def test_a_page_that_others_reach_gets_a_password_of_its_own(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    first, second = started(*arguments, **environment), started(*arguments, **environment)
    assert first.reachable
    assert first.made_password
    assert first.auth
    assert second.auth
    assert first.auth[1] != second.auth[1]
    assert len(first.auth[1]) >= 16


def test_a_password_that_was_given_is_kept_and_not_printed() -> None:
    told = started("--share", "--auth", "ana:with:colons")
    assert told.auth == ("ana", "with:colons")
    assert not told.made_password


@pytest.mark.parametrize("arguments", [("--port", "0"), ("--port", "eighty"), ("--auth", "nobody"), ("--auth", ":x"), ("--hots", "x")])
def test_what_cannot_be_read_ends_with_a_usage_message(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        started(*arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_space_listens_to_its_own_gate_and_keeps_its_home_on_the_persistent_disk(tmp_path: Path) -> None:
    told = started(disk=tmp_path, SPACE_ID="ana/shur")
    assert (told.host, told.home) == ("0.0.0.0", tmp_path.resolve() / "shur")


def test_the_owner_of_a_space_sets_the_login_as_a_secret() -> None:
    told = started(SPACE_ID="ana/shur", SHUR_AUTH="ana:secret")
    assert told.auth == ("ana", "secret")
    assert told.reachable, "a login does not make it a page of one person: limits and paths stay shut"
    assert not told.made_password


def test_a_space_without_a_persistent_disk_uses_its_own_folder() -> None:
    assert started(SPACE_ID="ana/shur").home == Path("workspace").resolve()


def test_nothing_phones_home() -> None:
    environment: dict[str, str] = {}
    app.silence(environment)
    assert environment["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert environment["HF_HUB_DISABLE_TELEMETRY"] == "1"
