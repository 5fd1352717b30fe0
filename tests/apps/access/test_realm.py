"""An OpenID Connect realm: its tokens by signature, issuer, audience and time; its roles; and its absence."""

import base64
import json
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from helpers.running_realm import RunningRealm

from amd_das.accounts import User
from amd_das.errors import ConfigError
from amd_das_app.access import realm as realm_module
from amd_das_app.access.realm import Realm, RealmConfig, RealmError
from amd_das_app.access.tokens import InvalidTokenError


@pytest.fixture
def running() -> Iterator[RunningRealm]:
    realm = RunningRealm()
    realm.people["anna"] = ("her password", ["amd-das-annotator", "amd-das-reviewer", "admin"])
    yield realm
    realm.close()


@pytest.fixture
def realm(running: RunningRealm) -> Realm:
    return Realm(RealmConfig(issuer=running.issuer))


def test_its_tokens_are_read_with_its_keys(realm: Realm, running: RunningRealm) -> None:
    token = running.token("anna", ["amd-das-annotator", "admin", "amd-das-king"])
    assert realm.read(token) == User(name="anna", roles=("annotator",))
    assert realm.read(running.token("otto", [])) == User(name="otto", roles=())
    assert running.asked == ["/realms/clinic/.well-known/openid-configuration", "/realms/clinic/certs"], "not cached"


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"realm_access": None}, ()),
        ({"realm_access": []}, ()),
        ({"realm_access": {"roles": "amd-das-admin amd-das-user"}}, ("user", "admin")),
        ({"realm_access": {"roles": {"amd-das-admin": 1}}}, ()),
        ({"realm_access": {"roles": [["amd-das-admin"], 7, None]}}, ()),
    ],
)
def test_roles_of_other_shapes(realm: Realm, running: RunningRealm, claims: dict, roles: tuple[str, ...]) -> None:
    assert realm.read(running.token("anna", [], **claims)).roles == roles


def test_where_roles_are_and_what_they_are_called_can_be_set(running: RunningRealm) -> None:
    config = RealmConfig(issuer=running.issuer, roles_claim="https://clinic.example/roles", role_prefix="")
    token = running.token("anna", [], **{"https://clinic.example/roles": ["reviewer"]})
    assert Realm(config).read(token).roles == ("reviewer",)
    deep = RealmConfig(issuer=running.issuer, roles_claim="resource_access#amd-das#roles", role_prefix="monailabel-")
    token = running.token("anna", [], resource_access={"amd-das": {"roles": ["monailabel-admin"]}})
    assert Realm(deep).read(token).roles == ("admin",)


def test_the_audience_may_stand_in_either_place(realm: Realm, running: RunningRealm) -> None:
    for claims in ({"aud": "amd-das", "azp": None}, {"aud": ["x", "amd-das"], "azp": "y"}, {"aud": None}):
        assert realm.read(running.token("anna", [], **claims)).name == "anna"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 1_000_000_000}, "expired"),  # in 2001
        ({"exp": None}, "no token of this server's realm"),
        ({"nbf": 4_000_000_000}, "no token of"),  # not before 2096
        ({"iss": "https://evil.example/realms/clinic"}, "no token of"),
        ({"iss": None}, "no token of"),
        ({"sub": None}, "no token of"),
        ({"azp": "other"}, "not for amd-das"),
        ({"azp": None, "aud": "other"}, "not for amd-das"),
        ({"azp": None, "aud": None}, "not for amd-das"),
    ],
)
def test_what_is_not_right_is_refused(realm: Realm, running: RunningRealm, claims: dict, said: str) -> None:
    with pytest.raises(InvalidTokenError, match=said):
        realm.read(running.token("anna", ["amd-das-admin"], **claims))


def test_forgeries_are_refused(realm: Realm, running: RunningRealm) -> None:
    good = running.token("anna", ["amd-das-user"])
    head, body, mark = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    raised = base64.urlsafe_b64encode(json.dumps(claims | {"preferred_username": "chef"}).encode()).decode().rstrip("=")
    public = running.keys["first"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac_head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "first"}).encode()).decode()
    import hashlib
    import hmac

    signed = f"{hmac_head.rstrip('=')}.{body}"
    digest = base64.urlsafe_b64encode(hmac.new(pem, signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    stranger = RunningRealm()
    try:
        forgeries = [
            "",
            "x",
            "a.b.c",
            f"{head}.{raised}.{mark}",
            f"{head}.{body}.",
            jwt.encode(claims, None, algorithm="none"),
            f"{signed}.{digest}",  # the public key taken for a shared secret
            stranger.token("anna", ["amd-das-admin"], iss=running.issuer),
        ]
    finally:
        stranger.close()
    for token in forgeries:
        with pytest.raises(InvalidTokenError):
            realm.read(token)
    assert realm.read(good).name == "anna"


def test_a_new_key_is_fetched_but_not_for_every_nonsense(
    realm: Realm, running: RunningRealm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert realm.read(running.token("anna", [])).name == "anna"
    stranger = RunningRealm()
    stranger.new_key("unknown")
    stranger.issuer = running.issuer
    for _ in range(20):
        with pytest.raises(InvalidTokenError):
            realm.read(stranger.token("anna", []))
    stranger.close()
    assert running.asked.count("/realms/clinic/certs") <= 2
    running.new_key("second")
    assert realm._keys is not None
    monkeypatch.setattr(realm._keys, "cooldown_duration", 0)  # half a minute later
    assert realm.read(running.token("anna", [])).name == "anna"


def test_people_log_in_with_the_realms_password(realm: Realm, running: RunningRealm) -> None:
    found = realm.log_in("anna", "her password")
    assert found is not None
    user, token, seconds = found
    assert user == User(name="anna", roles=("annotator", "reviewer")), "the realm's own admins are not ours"
    assert realm.read(token) == user
    assert 290 <= seconds <= 300
    assert realm.log_in("anna", "another") is None
    assert realm.log_in("otto", "her password") is None


def test_a_realm_without_log_in_by_password_says_so(realm: Realm, running: RunningRealm) -> None:
    running.token_status = 400
    with pytest.raises(RealmError, match="400 unauthorized_client to a log-in by password"):
        realm.log_in("anna", "her password")


def test_a_token_for_others_is_no_log_in(realm: Realm, running: RunningRealm) -> None:
    running.changes = {"azp": "other"}
    with pytest.raises(RealmError, match="not for amd-das"):
        realm.log_in("anna", "her password")


def test_a_realm_that_is_down_lets_nobody_in_and_says_so(realm: Realm, running: RunningRealm) -> None:
    token = running.token("anna", [])
    running.close()
    with pytest.raises(RealmError, match=r"does not answer; check AMD_DAS_REALM") as caught:
        realm.read(token)
    assert caught.value.status == 503
    with pytest.raises(RealmError):
        realm.log_in("anna", "her password")


def test_keys_that_are_known_hold_while_it_is_down(
    realm: Realm, running: RunningRealm, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = running.token("anna", [])
    realm.read(token)
    running.close()
    assert realm.read(token).name == "anna"
    monkeypatch.setattr(realm_module, "DISCOVERY_S", 0.0)
    assert realm.read(token).name == "anna"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://other.example"}, "calls itself otherwise"),
        ({"issuer": None}, "calls itself otherwise"),
        ({"jwks_uri": None}, "names no https address"),
        ({"jwks_uri": "http://10.0.0.1/certs"}, "names no https address"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no https address"),
    ],
)
def test_a_description_that_cannot_be_trusted(
    realm: Realm, running: RunningRealm, changes: dict[str, str], said: str
) -> None:
    token = running.token("anna", [])
    running.description |= changes
    with pytest.raises(RealmError, match=said):
        realm.read(token)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"issuer": "clinic"}, "expected an address"),
        ({"issuer": "ftp://x/y"}, "expected an address"),
        ({"issuer": "http://sso.example/realms/clinic"}, "use https"),
        ({"issuer": "https://anna:secret@sso.example/"}, "holds a user name"),
        ({"issuer": "https://sso.example/?a=b"}, "expected an address"),
        ({"issuer": "https://sso.example", "client": ""}, "may not be empty"),
        ({"issuer": "https://sso.example", "roles_claim": "#"}, "may not be empty"),
    ],
)
def test_impossible_settings(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        RealmConfig(**given)
    assert "secret" not in str(caught.value)
