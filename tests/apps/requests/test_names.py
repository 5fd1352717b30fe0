"""Names from outside never become paths."""

import pytest

from amd_das.errors import NotFoundError
from amd_das_app.errors import BadNameError
from amd_das_app.requests.names import check_new_id, check_session_id, check_tag, file_extension, safe_file_name

PATHS = ["../x", "..", "a/../../b", "/abs", "a\\b", "a\0b", "", ".hidden", "x" * 500]


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_no_tags_ids_or_sessions(name: str) -> None:
    with pytest.raises(BadNameError):
        check_tag(name)
    with pytest.raises(BadNameError):
        check_new_id(name)
    with pytest.raises(NotFoundError):
        check_session_id(name)


def test_ordinary_names_pass() -> None:
    assert check_tag("final") == "final"
    assert check_new_id("Head CT 5.0 (2)") == "Head CT 5.0 (2)"
    assert check_session_id("5b2c9d1e-0000-11ee-8c99-0242ac120002")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("/tmp/slicer/tmpab12.nii.gz", "tmpab12.nii.gz"),
        ("C:\\data\\Head CT.nrrd", "Head_CT.nrrd"),
        ("../../etc/passwd", "passwd"),
        ("...nii", "nii"),
        ("a" * 300 + ".nii.gz", "a" * 93 + ".nii.gz"),
        ("case\n\r.nii", "case_.nii"),
    ],
)
def test_file_names_keep_their_last_part_cleaned(sent: str, kept: str) -> None:
    assert safe_file_name(sent) == kept


@pytest.mark.parametrize("sent", [None, "", "/", "..", "."])
def test_file_names_without_substance_are_refused(sent: str | None) -> None:
    with pytest.raises(BadNameError, match=r"case\.nii\.gz"):
        safe_file_name(sent)


def test_file_extensions() -> None:
    assert file_extension("Case.NII.GZ") == ".nii.gz"
    assert file_extension("case.nrrd") == ".nrrd"
    for name in ("case.exe", "case", ".nii", "case.nhdr"):
        with pytest.raises(BadNameError, match=r"\.nii\.gz, \.nii, \.nrrd"):
            file_extension(name)
