"""No server for other machines without users; and what its owner is told."""

import sys
from pathlib import Path

import pytest
from helpers.certificate import write_certificate

from amd_das.accounts import UserStore
from amd_das.errors import ConfigError
from amd_das_app.access.start import check_exposure, launch_host, make_access_control, refuse_other_control
from amd_das_app.launch import check_certificate, warnings
from amd_das_app.settings import ServerSettings, from_environment


def settings_for(folder: Path, **more: object) -> ServerSettings:
    return ServerSettings(accounts_dir=str(folder), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "ct.example", ""])
def test_other_machines_need_users(folder: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="nobody may log in yet") as caught:
        check_exposure(make_access_control(settings_for(folder)), host)
    for advice in ("amd-das users add NAME admin", "AMD_DAS_REALM", "127.0.0.1", "--no-auth", "read all scans"):
        assert advice in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_this_machine_does_not(folder: Path, host: str) -> None:
    control = make_access_control(settings_for(folder))
    check_exposure(control, host)
    assert not control.enabled


def test_users_a_realm_or_a_word_open_it(folder: Path, store: UserStore) -> None:
    check_exposure(make_access_control(settings_for(folder)), "0.0.0.0")
    empty = folder / "empty"
    check_exposure(make_access_control(settings_for(empty, auth="off")), "0.0.0.0")
    realm = make_access_control(settings_for(empty, realm="https://sso.example/realms/x"))
    check_exposure(realm, "0.0.0.0")
    assert realm.enabled


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_users_that_cannot_be_read_stop_the_start(folder: Path, store: UserStore, host: str) -> None:
    store.path.write_text("{")
    with pytest.raises(ConfigError, match="no file of users"):
        check_exposure(make_access_control(settings_for(folder)), host)


def test_the_accounts_are_where_the_command_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from amd_das.accounts import accounts_folder

    for variables in ({"AMD_DAS_RUNS_DIR": str(tmp_path)}, {"AMD_DAS_ACCOUNTS_DIR": str(tmp_path / "x")}, {}):
        for name in ("AMD_DAS_RUNS_DIR", "AMD_DAS_ACCOUNTS_DIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert from_environment(variables).accounts_folder == accounts_folder()


@pytest.mark.parametrize(
    ("command", "host"),
    [
        ("python serve.py --studies x --host 0.0.0.0", "10.1.1.1"),
        ("python -m monailabel.main start_server --app a --host 127.0.0.1", "127.0.0.1"),
        ("python -m monailabel.main start_server --app a", "0.0.0.0"),
        ("/venv/bin/python /venv/bin/monailabel start_server -i 10.0.0.7", "10.0.0.7"),
        ("/venv/bin/python /venv/bin/uvicorn server:app", "127.0.0.1"),
        ("python -m uvicorn server:app --host=0.0.0.0 --port 1", "0.0.0.0"),
        ("uvicorn server:app --host", ""),
        ("python -m pytest", "10.1.1.1"),
    ],
)
def test_where_a_process_will_listen(command: str, host: str) -> None:
    assert launch_host(ServerSettings(host="10.1.1.1"), command.split()) == host


def test_without_a_command_it_is_this_process() -> None:
    assert sys.orig_argv
    assert launch_host(ServerSettings(host="10.1.1.1")) == "10.1.1.1"


def test_monai_labels_own_control_is_refused() -> None:
    refuse_other_control(False)
    with pytest.raises(ConfigError, match="refuses every token"):
        refuse_other_control(True)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AMD_DAS_AUTH": "on"}, "expected auto or off"),
        ({"AMD_DAS_TOKEN_HOURS": "0"}, "above 0"),
        ({"AMD_DAS_TLS_CERT": "x.pem"}, "set both"),
        ({"AMD_DAS_TLS_KEY": "x.pem"}, "set both"),
    ],
)
def test_impossible_settings_are_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_environment(variables)


def test_what_the_owner_is_told() -> None:
    assert warnings(ServerSettings(), enabled=False) == []
    assert warnings(ServerSettings(host="0.0.0.0", tls_cert="c", tls_key="k"), enabled=True) == []
    (clear,) = warnings(ServerSettings(host="0.0.0.0"), enabled=True)
    assert clear.startswith("passwords and scans cross the network in clear: set AMD_DAS_TLS_CERT")
    opened = " ".join(warnings(ServerSettings(host="0.0.0.0", auth="off"), enabled=False))
    assert "everybody on the network may read all scans, change labels, train" in opened
    assert "everybody on this machine" in " ".join(warnings(ServerSettings(auth="off"), enabled=False))


def test_files_for_https_are_checked_at_the_start(tmp_path: Path) -> None:
    def check(cert: Path, key: Path) -> None:
        check_certificate(ServerSettings(tls_cert=str(cert), tls_key=str(key)))

    check_certificate(ServerSettings())
    cert, key = write_certificate(tmp_path)
    check(cert, key)
    (tmp_path / "other").mkdir()
    _, locked = write_certificate(tmp_path / "other", passphrase="secret")
    (tmp_path / "nonsense.pem").write_text("nonsense")
    for wrong in ((cert, locked), (cert, cert), (key, key), (tmp_path / "nonsense.pem", key), (cert, tmp_path / "no")):
        with pytest.raises(ConfigError, match=r"AMD_DAS_TLS_CERT .* cannot be used: \S+"):
            check(*wrong)
