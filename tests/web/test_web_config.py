"""The web config file: what it may say, what is told when it cannot be used, and that it is read again."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forgediag.web_config import LOOK_EVERY, WebConfigError, WebConfigFile, read

if TYPE_CHECKING:
    from tests.web.conftest import Certificates, Write

HASH = "$2b$04$A0k8Fq5UvU8bW7xg7h6Y5.u9Jq3Qp1m1m2m3m4m5m6m7m8m9m0m1a"
TLS = ("tls_server_config:", "  cert_file: server.pem", "  key_file: server.key")
EXAMPLE = Path(__file__).parents[2] / "docs" / "web.yml"


def test_an_empty_file_protects_nothing(write: Write) -> None:
    found = read(write(""))
    assert (found.tls, found.headers, found.users) == (None, {}, {})


def test_users_and_headers_are_read(write: Write) -> None:
    headers = ("http_server_config:", "  http2: false", "  headers:", "    X-Frame-Options: SAMEORIGIN")
    found = read(write("basic_auth_users:", f"  alice: {HASH}", *headers))
    assert found.users == {"alice": HASH.encode()}
    assert found.headers == {"x-frame-options": "SAMEORIGIN"}


def test_a_certificate_is_found_beside_the_file_and_clients_need_none(write: Write, certificates: Certificates) -> None:
    found = read(write(*TLS))
    assert found.tls is not None
    assert found.tls.verify_mode is ssl.CERT_NONE
    assert found.tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert [file.name for file in found.files] == ["web.yml", "server.pem", "server.key"]


def test_clients_can_be_asked_for_a_certificate(write: Write, certificates: Certificates) -> None:
    wanted = ("  client_auth_type: RequireAndVerifyClientCert", "  client_ca_file: ca.pem", "  min_version: TLS13")
    found = read(write(*TLS, *wanted))
    assert found.tls is not None
    assert found.tls.verify_mode is ssl.CERT_REQUIRED
    assert found.tls.minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["a: [1"], "is not YAML: while parsing"),
        (["- a"], "has no sections; it may have: tls_server_config"),
        (["tls: {}"], "tls is not supported; known keys: tls_server_config"),
        (["rate_limit:", "  interval: 1s"], "rate_limit is not supported"),
        (["tls_server_config: yes"], "tls_server_config is not a table"),
        (["tls_server_config:", "  cert_file: server.pem"], "tls_server_config: key_file is missing"),
        (["tls_server_config:", "  cipher_suites: [a]"], "cipher_suites is not supported"),
        ([*TLS], "cert_file server.pem cannot be read: No such file"),
        (
            ["http_server_config:", "  headers:", "    Server: x"],
            "header Server cannot be set here; these can: Content-",
        ),
        (["http_server_config:", "  headers:", '    X-Frame-Options: "a\\r\\nb"'], "is no printable text"),
        (["http_server_config:", "  port: 1"], "port is not supported; known keys: http2, headers"),
        (["basic_auth_users:", "  alice: secret"], "the password of alice is no bcrypt hash; make one with: htpasswd"),
        (["basic_auth_users:", "  alice: 1"], "the password of alice is no bcrypt hash"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(write: Write, lines: list[str], told: str) -> None:
    with pytest.raises(WebConfigError) as caught:
        read(write(*lines))
    assert told in str(caught.value)
    assert "web.yml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["  client_ca_file: ca.pem"], "of no use without client_auth_type"),
        (["  client_auth_type: RequireAndVerifyClientCert"], "needs a client_ca_file"),
        (["  client_auth_type: RequestClientCert"], "RequestClientCert is not supported; choose from: NoClientCert"),
        (
            ["  client_auth_type: VerifyClientCertIfGiven", "  client_ca_file: no.pem"],
            "client_ca_file no.pem cannot be",
        ),
        (["  min_version: SSL3"], "min_version SSL3 is not supported; choose from: TLS10"),
    ],
)
def test_tls_that_cannot_be_had_is_told(write: Write, certificates: Certificates, lines: list[str], told: str) -> None:
    with pytest.raises(WebConfigError, match="tls_server_config: ") as caught:
        read(write(*TLS, *lines))
    assert told in str(caught.value)


def test_a_key_that_is_not_the_certificates_is_told(write: Write, certificates: Certificates) -> None:
    certificates.make("other")
    with pytest.raises(WebConfigError, match=r"server.pem and key_file other.key are no pair"):
        read(write("tls_server_config:", "  cert_file: server.pem", "  key_file: other.key"))


def test_an_encrypted_key_is_told_and_nobody_is_asked_for_its_password(
    write: Write, certificates: Certificates, tmp_path: Path
) -> None:
    convert = ["openssl", "ec", "-in", "server.key", "-out", "locked.key", "-aes256", "-passout", "pass:secret"]
    subprocess.run(convert, cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(WebConfigError, match="without a password: the key is encrypted"):
        read(write("tls_server_config:", "  cert_file: server.pem", "  key_file: locked.key"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WebConfigError, match=r"none.yml cannot be read: No such file"):
        read(tmp_path / "none.yml")


@pytest.mark.parametrize("module", ["yaml", "bcrypt"])
def test_a_missing_library_is_told_with_the_way_out(write: Write, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WebConfigError, match="needs a package; run "):
        read(write("basic_auth_users:", f"  alice: {HASH}"))


class Reread:
    """A file, and a clock that moves on by hand."""

    def __init__(self, path: Path) -> None:
        self.now, self.path, self._stamp = 0.0, path, 1_000_000_000
        self.file = WebConfigFile(str(path), lambda: self.now)

    def touch(self, path: Path | None = None) -> None:
        self._stamp += 1_000_000_000
        os.utime(path or self.path, ns=(self._stamp, self._stamp))


def test_a_changed_file_is_read_again_within_a_second(write: Write) -> None:
    reread = Reread(write(""))
    assert not reread.file.current().users
    write("basic_auth_users:", f"  alice: {HASH}")
    reread.touch()
    assert not reread.file.current().users
    reread.now += LOOK_EVERY
    assert list(reread.file.current().users) == ["alice"]
    reread.now += LOOK_EVERY
    assert reread.file.current() is reread.file.current()


def test_a_bad_change_is_told_once_and_what_was_in_force_stays(
    write: Write, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    reread = Reread(write("basic_auth_users:", f"  alice: {HASH}"))
    with caplog.at_level(logging.ERROR):
        write("nonsense: 1")
        reread.touch()
        for _ in range(3):
            reread.now += LOOK_EVERY
            assert list(reread.file.current().users) == ["alice"]
    assert caplog.text.count("the web config stays as it was") == 1
    (tmp_path / "web.yml").unlink()
    reread.now += LOOK_EVERY
    assert list(reread.file.current().users) == ["alice"]


def test_a_new_certificate_is_read_though_the_file_is_the_same(write: Write, certificates: Certificates) -> None:
    reread = Reread(write(*TLS))
    before = reread.file.current().tls
    certificates.make("server")
    reread.touch(certificates.folder / "server.pem")
    reread.now += LOOK_EVERY
    assert reread.file.current().tls is not before


def test_our_example_is_accepted_by_us_and_by_promtool(
    certificates: Certificates, promtool: str, tmp_path: Path
) -> None:
    text = EXAMPLE.read_text("utf-8")
    for name, content in (("web.yml", text), ("strict.yml", text.replace("  # client_", "  client_"))):
        path = tmp_path / name
        path.write_text(content, "utf-8")
        assert list(read(path).users) == ["prometheus"]
        done = subprocess.run([promtool, "check", "web-config", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stderr
