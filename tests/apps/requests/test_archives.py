"""Nothing in an archive lands outside its folder, and nothing grows beyond the limits."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from amd_das.errors import InputError, TooLargeError, UnreadableError
from amd_das_app.errors import BadNameError
from amd_das_app.requests.archives import unpack


def make_tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def make_zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unpack_in(tmp_path: Path, archive: Path, max_files: int = 10, max_bytes: int = 10_000) -> list[Path]:
    folder = tmp_path / "out"
    folder.mkdir()
    return unpack(archive, folder, max_files=max_files, max_bytes=max_bytes)


def test_files_in_folders_are_unpacked(tmp_path: Path) -> None:
    files = unpack_in(tmp_path, make_tar(tmp_path / "a.tgz", ("series/1.dcm", b"one"), ("series/2.dcm", b"two")))
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert {file.parent for file in files} == {tmp_path / "out" / "series"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "tar":
        archive = make_tar(tmp_path / "a.tar.gz", (name, b"x"))
    else:
        archive = make_zip(tmp_path / "a.zip", **{name: b"x"})
    with pytest.raises(BadNameError, match="points outside"):
        unpack_in(tmp_path, archive)
    assert list(tmp_path.rglob("evil")) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(BadNameError, match="no plain file"):
        unpack_in(tmp_path, make_tar(tmp_path / "a.tar", member))


def test_links_in_zips_are_refused(tmp_path: Path) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(BadNameError, match="no plain file"):
        unpack_in(tmp_path, tmp_path / "a.zip")


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="unpacks to more than"):
        unpack_in(tmp_path, make_zip(tmp_path / "a.zip", bomb=bytes(50_000_000)))
    written = sum(file.stat().st_size for file in (tmp_path / "out").rglob("*"))
    assert written <= 10_000


def test_too_many_files(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="more than 2 files"):
        unpack_in(tmp_path, make_zip(tmp_path / "a.zip", a=b"1", b=b"2", c=b"3"), max_files=2)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UnreadableError, match="cannot be unpacked"):
        unpack_in(tmp_path, tmp_path / "a.zip")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", ("1.dcm", bytes(range(256)) * 30))
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(InputError):
        unpack_in(tmp_path, archive)


def test_an_archive_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="holds no files"):
        unpack_in(tmp_path, make_zip(tmp_path / "a.zip"))
