"""The running server with an OpenID Connect realm: its people, their roles, and what holds while it is down."""

from pathlib import Path

import pytest
from helpers.clients import client_of
from helpers.heads import write_head
from helpers.running_realm import RunningRealm
from helpers.running_server import start_server

pytestmark = pytest.mark.integration

PASSWORD = "the realm's own"


def test_people_of_a_realm_log_in_and_do_what_their_roles_there_allow(tmp_path: Path, model_dir: Path) -> None:
    realm = RunningRealm()
    realm.people = {"anna": (PASSWORD, ["amd-das-annotator"]), "otto": (PASSWORD, ["admin"])}
    (tmp_path / "studies").mkdir()
    write_head(tmp_path / "studies" / "right.nii.gz", bleed_x=10)
    running = start_server(tmp_path, model_dir, AMD_DAS_REALM=realm.issuer)
    try:
        running.wait_until_ready()
        said = running.request("GET", "/auth/").json()
        assert said == {"enabled": True, "client_id": "amd-das", "realm": realm.issuer}
        assert running.request("GET", "/info/").status_code == 401

        client = client_of(running, tmp_path)
        with pytest.raises(Exception, match="401"):
            client.auth_token("anna", "not the realm's")
        client.update_auth(client.auth_token("anna", PASSWORD))
        assert client.auth_valid_token()
        assert client.infer("amd_das", "right", {"result_extension": ".nrrd"})[1]["volume_ml"] > 1
        with pytest.raises(Exception, match="needs the role admin"):
            client.train_start("fine_tune", {})

        form = {"username": "otto", "password": PASSWORD}
        token = running.request("POST", "/auth/token", data=form).json()["access_token"]
        other = running.request("GET", "/info/", headers={"Authorization": f"Bearer {token}"})
        assert other.status_code == 403, "the realm's own admins are not this server's"

        ended = realm.token("anna", ["amd-das-admin"], exp=1)
        answer = running.request("GET", "/info/", headers={"Authorization": f"Bearer {ended}"})
        assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)

        realm.close()
        down = running.request("POST", "/auth/token", data=form)
        assert down.status_code == 503
        assert "does not answer" in down.json()["detail"]
        assert client.info()["name"] == "AMD-DAS", "who is in stays in: the keys are known"
        log = (tmp_path / "runs" / "accounts" / "audit.jsonl").read_text()
        assert '"who": "anna"' in log
        assert PASSWORD not in log + running.log
    finally:
        running.close()
