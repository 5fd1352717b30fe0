"""Every hole of a plain MONAI Label server, tried against ours: a 4xx that says why, and nothing written or read."""

import io
import json
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nibabel
import nrrd
import numpy as np
import pytest
import requests
from helpers.heads import AFFINE, make_head, write_head
from helpers.running_server import RunningServer

pytestmark = pytest.mark.integration


def assert_refused(answer: requests.Response, status: int, code: str | None = None, says: str = "") -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error", "detail"}
    assert code is None or body["error"] == code
    assert says in body["detail"]
    assert "Traceback" not in answer.text


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def nothing_changes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Studies, temporary files and the server's life are as before, whatever a test of this file tried."""
    servers = [request.getfixturevalue(name) for name in ("server", "open_server") if name in request.fixturenames]
    before = [snapshot(server.studies) for server in servers]
    yield
    for server, files in zip(servers, before, strict=True):
        after = snapshot(server.studies)
        assert {name for name in after if "datastore" not in name} == {
            name for name in files if "datastore" not in name
        }
        assert server.leftovers() == []
        assert server.request("GET", "/info/").status_code == 200


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A scan outside of the studies."""
    return write_head(tmp_path / "secret.nii.gz")


@pytest.fixture
def scan() -> bytes:
    return nibabel.Nifti1Image(make_head()[0], AFFINE).to_bytes()


@pytest.mark.parametrize("image", ["{outside}", "../secret", "right.nii.gz", "labels", ".", "nobody", "a" * 3000])
def test_infer_reads_no_path_and_no_unknown_id(server: RunningServer, outside: Path, image: str) -> None:
    assert_refused(server.infer(image=image.format(outside=outside)), 404, "not_found", "no image")


@pytest.mark.parametrize("key", ["image", "path", "model", "session", "file", "save_label", "__class__"])
def test_params_cannot_override_the_request(server: RunningServer, outside: Path, key: str) -> None:
    answer = server.infer(image="right", params=json.dumps({key: str(outside)}))
    assert_refused(answer, 400, "bad_config", "allowed: device")


@pytest.mark.parametrize(
    "params", ["{", "[]", '"x"', '{"threshold": "high"}', '{"device": "tpu"}', '{"threshold": 0}', '{"sure_from": 1}']
)
def test_params_are_checked_against_the_task(server: RunningServer, params: str) -> None:
    assert_refused(server.infer(image="right", params=params), 400, "bad_config", "expected")


def test_infer_needs_exactly_one_known_scan(server: RunningServer, outside: Path, scan: bytes) -> None:
    assert_refused(server.infer(), 400, says="send ?image=<id>")
    assert_refused(server.infer(query={"session_id": "../../etc"}), 404, says="no session")
    files = {"file": ("x.nii", scan)}
    session = {"session_id": "5b2c9d1e-0000-11ee-8c99-0242ac120002"}
    assert_refused(server.infer(query=session, files=files), 400, says="send one of them")
    assert_refused(server.infer(image="right", files={"label": ("x.nii", scan)}), 400, says="takes no label")
    assert_refused(server.request("POST", "/infer/other?image=right"), 404, says="amd_das_edit")
    assert_refused(server.infer(image="right", output="text"), 400, says="'json' or 'dicom_seg'")
    assert_refused(server.infer(image="right", output="dicom_seg"), 400, "bad_config", "right is nifti")
    assert_refused(server.request("POST", "/infer/wsi/amd_das?image=right"), 404)


def test_two_files_of_one_id_are_ambiguous(server: RunningServer, scan: bytes) -> None:
    twin = server.studies / "right.nii"
    twin.write_bytes(scan)
    try:
        assert_refused(server.infer(image="right"), 409, "conflict", "right.nii.gz and right.nii")
    finally:
        twin.unlink()


def test_images_cannot_be_written_read_or_removed_by_path(
    open_server: RunningServer, outside: Path, scan: bytes
) -> None:
    target = outside.with_name("planted.nii.gz")
    for image in (str(target), "../planted", "..", "a/b", "a\\b", "\0"):
        answer = open_server.request(
            "PUT", "/datastore/image", params={"image": image}, files={"file": ("x.nii", scan)}
        )
        assert_refused(answer, 400, "bad_name")
    for name in (str(outside), "../secret", "nobody"):
        assert_refused(open_server.request("DELETE", "/datastore/image", params={"id": name}), 404)
        assert_refused(open_server.request("GET", "/datastore/image", params={"image": name}), 404)
        assert_refused(open_server.request("GET", "/datastore/image/info", params={"image": name}), 404)
        assert open_server.request("HEAD", "/datastore/image", params={"image": name}).status_code == 404
    assert outside.exists()
    assert not target.exists()


def test_an_existing_scan_is_not_overwritten(open_server: RunningServer) -> None:
    other = nibabel.Nifti1Image(make_head(bleed_x=0)[0], AFFINE).to_bytes()
    answer = open_server.request("PUT", "/datastore/image?image=right", files={"file": ("right.nii", other)})
    assert_refused(answer, 409, "conflict", "choose another id")


@pytest.mark.parametrize(("name", "content"), [("x.exe", b"MZ"), ("x.nii.gz", b"no image"), ("x.nhdr", b"NRRD0004\n")])
def test_what_is_no_scan_is_not_added(open_server: RunningServer, name: str, content: bytes) -> None:
    answer = open_server.request("PUT", "/datastore/image?image=planted", files={"file": (name, content)})
    assert answer.status_code in (400, 422)
    assert answer.json().keys() == {"error", "detail"}


@pytest.mark.parametrize("tag", ["../../x", "..", "/abs", "a/b", "a\\b", ""])
def test_label_tags_are_no_paths(server: RunningServer, tag: str) -> None:
    if tag:
        mask = nibabel.Nifti1Image(make_head()[1].astype(np.uint8), AFFINE).to_bytes()
        query = {"image": "right", "tag": tag}
        assert_refused(server.request("PUT", "/datastore/label", params=query, files={"label": ("x.nii", mask)}), 400)
    for method in ("GET", "DELETE"):
        query = {"label": "right", "id": "right", "tag": tag}
        assert_refused(server.request(method, "/datastore/label", params=query), 400, "bad_name")


def labels() -> dict[str, tuple[bytes, int, str]]:
    head, blood = make_head()
    mask = blood.astype(np.uint8)
    nan = np.where(blood, np.nan, 0).astype(np.float32)

    def nifti(array: np.ndarray, affine: np.ndarray = AFFINE) -> bytes:
        return nibabel.Nifti1Image(array, affine).to_bytes()

    return {
        "random bytes": (np.random.default_rng(0).bytes(4000), 422, "not a NIfTI"),
        "other values": (nifti(mask * 3), 422, "such as 3"),
        "the scan itself": (nifti(head), 422, "expected only 0"),
        "fractions": (nifti(mask * np.float32(0.5)), 422, "such as 0.5"),
        "not a number": (nifti(nan), 422, "NaN"),
        "other shape": (nifti(mask[:-1]), 422, "voxels and its image"),
        "other place": (nifti(mask, AFFINE @ np.diag([-1.0, 1, 1, 1])), 422, "mm off"),
        "four axes": (nifti(np.stack([mask, mask], 3)), 422, "4 axes"),
        "empty": (b"", 422, "empty"),
    }


@pytest.mark.parametrize("kind", labels())
def test_labels_must_be_masks_of_their_image(server: RunningServer, kind: str) -> None:
    content, status, says = labels()[kind]
    answer = server.request("PUT", "/datastore/label?image=right", files={"label": ("label.nii", content)})
    assert_refused(answer, status, says=says)


def test_labels_belong_to_known_images(server: RunningServer) -> None:
    mask = nibabel.Nifti1Image(make_head()[1].astype(np.uint8), AFFINE).to_bytes()
    for image in ("nobody", "../right", "/etc/passwd"):
        answer = server.request("PUT", "/datastore/label", params={"image": image}, files={"label": ("x.nii", mask)})
        assert_refused(answer, 404, says="no image")
    answer = server.request("PUT", "/datastore/label?image=right", files={"label": ("x.exe", mask)})
    assert_refused(answer, 400, "bad_name", ".nii.gz, .nii, .nrrd")
    answer = server.request(
        "PUT", "/datastore/label?image=right", files={"label": ("x.nii", mask)}, data={"params": "[1]"}
    )
    assert_refused(answer, 400, says="expected an object")


@pytest.mark.parametrize(
    "path", ["/datastore/label?label=right&tag=none", "/datastore/label/info?label=right&tag=none"]
)
def test_unknown_labels_are_not_found(server: RunningServer, path: str) -> None:
    assert_refused(server.request("GET", path), 404, "not_found", "no label")


def tar_of(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.tar.gz", tar_of("../../planted.dcm"), 400),
        ("a.tar.gz", tar_of("/tmp/planted.dcm"), 400),
        ("a.tar.gz", tar_of("link.dcm", b"", tarfile.SYMTYPE), 400),
        ("a.zip", zip_of("../planted.dcm", b"x"), 400),
        ("a.zip", zip_of("bomb.dcm", bytes(64 * 2**20)), 413),
        ("a.zip", b"no archive", 422),
        ("x.nii.gz", b"no image", 422),
        ("..", b"x", 400),
    ],
)
def test_sessions_take_only_images_and_sound_archives(
    open_server: RunningServer, name: str, content: bytes, status: int
) -> None:
    before = list(open_server.sessions.iterdir())
    answer = open_server.request("PUT", "/session/?uncompress=true", files={"files": (name, content)})
    assert_refused(answer, status)
    assert list(open_server.sessions.iterdir()) == before
    assert list(open_server.folder.rglob("planted*")) == []


def test_sessions_are_few_and_show_no_paths(open_server: RunningServer, scan: bytes) -> None:
    opened = [open_server.request("PUT", "/session/", files={"files": ("own.nii", scan)}) for _ in range(5)]
    assert [answer.status_code for answer in opened] == [200] * 4 + [429]
    assert_refused(opened[-1], 429, "busy")
    assert str(open_server.folder) not in opened[0].text
    for answer in opened[:4]:
        assert open_server.request("DELETE", f"/session/{answer.json()['session_id']}").status_code == 200
    for session_id in ("..", "%2e%2e", "x", "%2fetc"):
        assert_refused(open_server.request("GET", f"/session/{session_id}x"), 404)
        assert_refused(open_server.request("DELETE", f"/session/{session_id}x"), 404)


def test_writes_to_images_models_and_sessions_are_off_unless_asked_for(server: RunningServer, scan: bytes) -> None:
    refused = {
        "images": [
            server.request("PUT", "/datastore/image?image=planted", files={"file": ("x.nii", scan)}),
            server.request("PUT", "/datastore/?image=planted", files={"file": ("x.nii", scan)}),
            server.request("DELETE", "/datastore/image?id=right"),
            server.request("DELETE", "/datastore/?id=right"),
            server.request("PUT", "/datastore/image/info?image=right", data={"info": "{}"}),
        ],
        "models": [
            server.request("PUT", "/model/amd_das", files={"file": ("weights.safetensors", b"x")}),
            server.request("DELETE", "/model/amd_das"),
        ],
        "sessions": [server.request("PUT", "/session/", files={"files": ("x.nii", scan)})],
    }
    for what, answers in refused.items():
        for answer in answers:
            assert_refused(answer, 403, "not_allowed", f"AMD_DAS_ALLOW={what}")


def test_weights_are_replaced_only_by_weights_of_the_same_network(open_server: RunningServer) -> None:
    before = open_server.request("GET", "/model/info/amd_das").json()["checksum"]
    answer = open_server.request("PUT", "/model/amd_das", files={"file": ("weights.safetensors", b"junk")})
    assert_refused(answer, 422, says="weights of this network")
    weights = open_server.request("GET", "/model/amd_das")
    assert weights.status_code == 200
    replaced = open_server.request("PUT", "/model/amd_das", files={"file": ("w.safetensors", weights.content)})
    assert replaced.status_code == 200, replaced.text
    assert replaced.json()["checksum"] == before == open_server.request("GET", "/model/info/amd_das").json()["checksum"]
    assert open_server.infer(image="right").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/reload", 404),
        ("GET", "/proxy/dicom/etc/passwd", 404),
        ("GET", "/ohif/", 404),
        ("GET", "/ohif/..%2f..%2f..%2fapp.py", 404),
        ("GET", "/static/ohif/index.html", 404),
        ("GET", "/logs/gpu", 404),
        ("GET", "/model/other", 404),
        ("GET", "/model/..%2f..%2fetc", 404),
        ("POST", "/activelearning/other", 404),
        ("POST", "/train/other", 404),
        ("GET", "/train/", 404),
        ("GET", "/train/?all=true", 404),
        ("GET", "/train/?check_if_running=true", 404),
        ("POST", "/scoring/dice", 404),
        ("POST", "/batch/infer/other", 404),
        ("GET", "/batch/infer?check_if_running=true", 404),
        ("GET", "/datastore/dataset", 404),
        ("POST", "/batch/infer/amd_das?images=some", 400),
        ("GET", "/datastore/?output=everything", 400),
        ("PATCH", "/info/", 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_everything_else_is_refused_in_json(server: RunningServer, method: str, path: str, status: int) -> None:
    assert_refused(server.request(method, path), status)


@pytest.mark.parametrize(
    "params", [{"image": "x"}, {"label_tag": "../x"}, {"max_batch_size": "many"}, {"device": "tpu"}]
)
def test_batch_params_are_checked(server: RunningServer, params: dict[str, Any]) -> None:
    assert_refused(server.request("POST", "/batch/infer/amd_das", json=params), 400)


PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.nii"\r\n\r\n'


def test_uploads_are_limited_while_they_come_in(server: RunningServer) -> None:
    big = b"x" * (5 * 2**20)
    for answer in (
        server.infer(files={"file": ("big.nii", big)}),
        server.request("PUT", "/datastore/label?image=right", files={"label": ("big.nii", big)}),
        server.request(
            "POST",
            "/infer/amd_das",
            headers={"Content-Type": "multipart/form-data; boundary=b"},
            data=iter([PART, *[bytes(2**20)] * 5]),
        ),
        server.request("POST", "/activelearning/random", data=b" " * (2 * 2**20)),
    ):
        assert_refused(answer, 413, "too_large", "MiB")


def test_a_client_that_goes_away_leaves_nothing(server: RunningServer) -> None:
    address = urlsplit(server.url)
    head = (
        "POST /infer/amd_das HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="x.nii"\r\n\r\n'
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + bytes(2_000_000))
    assert server.request("GET", "/info/").status_code == 200


def test_no_origin_is_reflected_and_foreign_hosts_get_no_answer(server: RunningServer) -> None:
    evil = {"Origin": "https://evil.example"}
    read = server.request("GET", "/info/", headers=evil)
    assert "access-control-allow-origin" not in read.headers
    assert "access-control-allow-credentials" not in read.headers
    preflight = server.request("OPTIONS", "/info/", headers=evil | {"Access-Control-Request-Method": "PUT"})
    assert "access-control-allow-origin" not in preflight.headers
    assert_refused(server.request("POST", "/activelearning/random", headers=evil), 403, "foreign_origin")
    assert_refused(server.request("GET", "/info/", headers={"Host": "evil.example"}), 400, "bad_host")


def test_a_detached_header_reads_no_other_file(server: RunningServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(make_head()[0].tobytes(order="F"))
    header = {"space": "left-posterior-superior", "space directions": np.diag([2.0, 2, 8]), "space origin": [0, 0, 0]}
    nrrd.write(str(tmp_path / "x.nhdr"), make_head()[0], header, detached_header=True)
    text = (tmp_path / "x.nhdr").read_text().splitlines()
    lines = [f"data file: {secret}" if line.startswith("data file") else line for line in text]
    answer = server.infer(files={"file": ("x.nrrd", "\n".join(lines).encode() + b"\n\n")})
    assert_refused(answer, 422, "unreadable")


def test_pages_load_nothing_from_elsewhere(server: RunningServer) -> None:
    for path in ("/", "/docs"):
        answer = server.request("GET", path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "Research use only" in answer.text
        assert "src=" not in answer.text
        assert 'href="http' not in answer.text
    assert "/infer/{model}" in server.request("GET", "/docs").text
    assert "AMD_DAS" not in server.request("GET", "/").text


def test_the_log_can_be_read_in_text(server: RunningServer) -> None:
    server.infer(image="nobody")
    answer = server.request("GET", "/logs/?lines=5")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "no image 'nobody'" in answer.text
    assert len(answer.text.splitlines()) <= 5
