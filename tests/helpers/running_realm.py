"""A small OpenID Connect realm on loopback, with real RSA keys, that can misbehave."""

import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

CLIENT = "amd-das"


class RunningRealm:
    """Answers discovery, keys, and log-ins by password; ``close()`` stops it."""

    def __init__(self) -> None:
        self.keys: dict[str, RSAPrivateKey] = {}
        self.people: dict[str, tuple[str, list[str]]] = {}
        """Name → password and roles there."""

        self.changes: dict[str, Any] = {}
        """Claims of tokens that differ from what is right; None leaves one out."""

        self.asked: list[str] = []
        self.token_status = 200
        self.new_key("first")
        realm = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                realm.asked.append(self.path)
                if self.path == "/realms/clinic/.well-known/openid-configuration":
                    realm.send(self, 200, realm.description)
                elif self.path == "/realms/clinic/certs":
                    realm.send(self, 200, realm.public_keys())
                else:
                    realm.send(self, 404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                realm.send(self, *realm.grant({name: values[0] for name, values in parse_qs(body).items()}))

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.issuer = f"http://127.0.0.1:{self.port}/realms/clinic"
        self.description = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/certs",
            "token_endpoint": f"{self.issuer}/token",
        }
        Thread(target=self.server.serve_forever, daemon=True).start()

    def new_key(self, name: str) -> None:
        """Sign with another key from now on; earlier ones are gone."""
        self.keys = {name: generate_private_key(public_exponent=65537, key_size=2048)}

    def public_keys(self) -> dict[str, Any]:
        found = [
            {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": name, "use": "sig", "alg": "RS256"}
            for name, key in self.keys.items()
        ]
        return {"keys": found}

    def token(self, name: str, roles: list[str], **changes: Any) -> str:
        """An access token as Keycloak makes it."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "account",
            "azp": CLIENT,
            "sub": f"id-of-{name}",
            "preferred_username": name,
            "realm_access": {"roles": ["offline_access", *roles]},
            "iat": now,
            "exp": now + 300,
        }
        claims |= self.changes | changes
        ((kid, key),) = self.keys.items()
        left = {claim: value for claim, value in claims.items() if value is not None}
        return jwt.encode(left, key, algorithm="RS256", headers={"kid": kid})

    def grant(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        if self.token_status != 200:
            return self.token_status, {"error": "unauthorized_client"}
        password, roles = self.people.get(form.get("username", ""), (None, []))
        if form.get("grant_type") != "password" or form.get("client_id") != CLIENT or form["password"] != password:
            return 401, {"error": "invalid_grant", "error_description": "Invalid user credentials"}
        return 200, {"access_token": self.token(form["username"], roles), "token_type": "Bearer", "expires_in": 300}

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
