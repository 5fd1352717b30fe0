"""What is not ours is as its makers published it, and nothing that a page loads comes from elsewhere."""

import hashlib
import re

import pytest

from amd_das_app.pages.frame import ASSETS, HEADERS, TEMPLATES

VENDOR = ASSETS["htmx.min.js"].parent


def test_files_of_others_are_unchanged_and_licensed() -> None:
    sums = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.min.*")}
    assert found == sums
    for name in ("htmx.LICENSE.txt", "pico.LICENSE.md"):
        assert "Permission" in (VENDOR / name).read_text()
        assert name in (VENDOR / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(TEMPLATES.list_templates()))
def test_templates_keep_to_the_policy(name: str) -> None:
    source = TEMPLATES.loader.get_source(TEMPLATES, name)[0]  # type: ignore[union-attr]
    assert not re.search(r"https?://|\sstyle=|\son\w+=|<style|hx-on|js:|\|\s*safe", source)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", source))


def test_the_policy_allows_nothing_from_elsewhere() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
