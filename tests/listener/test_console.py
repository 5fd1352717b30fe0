"""``amd-das listen`` refuses what cannot work before it loads anything."""

from pathlib import Path

import pytest

from amd_das import cli
from amd_das.errors import ConfigError
from amd_das.listener.sending import Node, parse_node


def test_a_destination_is_a_title_a_host_and_a_port() -> None:
    assert parse_node("ORTHANC@127.0.0.1:4242") == Node(aet="ORTHANC", host="127.0.0.1", port=4242)
    assert parse_node("PACS MAIN@[::1]:104") == Node(aet="PACS MAIN", host="::1", port=104)
    assert str(parse_node(" A@host:1 ")) == "A@host:1"
    for wrong in (
        "",
        "ORTHANC",
        "ORTHANC@host",
        "@host:104",
        "A@host:0",
        "A@host:70000",
        "A" * 17 + "@h:1",
        "A\\B@h:1",
    ):
        with pytest.raises(ConfigError, match=r"expected"):
            parse_node(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--destination", "nowhere", "--allow", "A"], "destination 'nowhere': expected AET@HOST:PORT"),
        (["--destination", "P@h:1", "--allow", ","], "no AE title is allowed to send"),
        (["--destination", "P@h:1", "--allow", "A", "--format", "seg,png"], "formats ['png']"),
        (["--destination", "P@h:1", "--allow", "A", "--aet", "far too long a title"], "AE title"),
        (["--destination", "P@h:1", "--allow", "A", "--quiet", "0"], "quiet 0 s"),
        (["--destination", "P@h:1", "--allow", "A", "--model-dir", "none"], "no model"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["listen", "--spool", str(tmp_path / "spool"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "spool").exists()
