"""The web config file of Prometheus' exporter-toolkit: TLS, users, headers; read again whenever it changes.

Its format is the one of https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. Python's
ssl cannot ask for a client certificate without verifying it, and chooses cipher suites by other names: what cannot be
done is refused, never ignored.
"""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from forgediag.packages import install
from forgediag.toml import is_mapping

LOOK_EVERY = 1.0
"""Seconds between two looks whether a file has changed."""

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
CLIENT_AUTH: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
HEADERS = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
"""The headers the toolkit lets a file set."""

BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}")
SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users")
TLS_FILES = ("cert_file", "key_file", "client_ca_file")
TLS_KEYS = (*TLS_FILES, "client_auth_type", "min_version", "max_version")

log = logging.getLogger(__name__)


class WebConfigError(Exception):
    """A web config file that cannot be used: one line with the file, the reason and the way out."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """How the server is protected. `users` are bcrypt hashes by name, `files` those that all of it came from."""

    tls: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    users: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    files: tuple[Path, ...] = ()


class WebConfigFile:
    """The newest usable content of a web config file. A bad one is told in the log, and the one before stays."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            WebConfigError: it cannot be used.
        """
        self._path, self._clock = Path(path), clock
        self._looked = clock()
        self._current = read(self._path)
        self._seen = _stamps(self._current.files)

    def current(self) -> WebConfig:
        """The content, read again when it or a certificate has changed; looks at most once a second."""
        if self._clock() - self._looked < LOOK_EVERY:
            return self._current
        self._looked = self._clock()
        seen = _stamps(self._current.files)
        if seen != self._seen:
            self._seen = seen
            try:
                self._current = read(self._path)
            except WebConfigError as error:
                log.error("the web config stays as it was: %s", error)  # noqa: TRY400 - one line
            else:
                self._seen = _stamps(self._current.files)
                log.info("web config re-read")
        return self._current


def _stamps(files: tuple[Path, ...]) -> list[tuple[int, int] | None]:
    return [_stamp(file) for file in files]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def read(path: Path) -> WebConfig:
    """A web config file's content, with the certificates it names.

    Raises:
        WebConfigError: it cannot be read or used.
    """
    document = _document(path)
    _known(document, SECTIONS, f"{path}")
    server = _section(document, "http_server_config", path)
    _known(server, ("http2", "headers"), f"{path}: http_server_config")
    tls = _section(document, "tls_server_config", path)
    folder = path.parent
    files = tuple(folder / str(tls[key]) for key in TLS_FILES if tls.get(key))
    return WebConfig(
        tls=_context(tls, folder, f"{path}: tls_server_config") if tls else None,
        headers=_headers(_section(server, "headers", path), path),
        users=_users(_section(document, "basic_auth_users", path), path),
        files=(path, *files),
    )


def _document(path: Path) -> Mapping[str, Any]:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError:
        raise WebConfigError(f"{path} is YAML, which needs a package; run {install('PyYAML')}") from None
    try:
        document: object = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise WebConfigError(f"web config {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise WebConfigError(f"web config {path} is not YAML: {reason}") from error
    if document is None:
        return {}
    if not is_mapping(document):
        raise WebConfigError(f"web config {path} has no sections; it may have: {', '.join(SECTIONS)}")
    return document


def _section(document: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    section: object = document.get(name)
    if section is None:
        return {}
    if not is_mapping(section):
        raise WebConfigError(f"{path}: {name} is not a table of keys and values")
    return section


def _known(values: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    if unknown := [str(key) for key in values if key not in keys]:
        raise WebConfigError(f"{where}: {unknown[0]} is not supported; known keys: {', '.join(keys)}")


def _headers(values: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    known = {name.lower(): name for name in HEADERS}
    for name, value in values.items():
        if str(name).lower() not in known:
            raise WebConfigError(f"{path}: header {name} cannot be set here; these can: {', '.join(HEADERS)}")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise WebConfigError(f"{path}: the value of header {name} is no printable text")
    return {str(name).lower(): value for name, value in values.items() if value}


def _users(values: Mapping[str, Any], path: Path) -> Mapping[str, bytes]:
    for name, value in values.items():
        if not isinstance(value, str) or not BCRYPT.fullmatch(value):
            text = "make one with: htpasswd -nBC 10 '' | tr -d ':\\n'"
            raise WebConfigError(f"{path}: what stands for the password of {name} is no bcrypt hash; {text}")
    if values:
        try:
            import_module("bcrypt")  # an extra: missed now, not at the first login
        except ImportError:
            raise WebConfigError(f"{path}: basic_auth_users needs a package; run {install('bcrypt')}") from None
    return {str(name): value.encode() for name, value in values.items()}


def _context(tls: Mapping[str, Any], folder: Path, where: str) -> ssl.SSLContext:
    _known(tls, TLS_KEYS, where)
    for key in ("cert_file", "key_file"):
        if not tls.get(key):
            raise WebConfigError(f"{where}: {key} is missing")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _choice(tls, "min_version", VERSIONS, "TLS12", where)
    context.maximum_version = _choice(tls, "max_version", VERSIONS, "TLS13", where)
    try:
        context.load_cert_chain(folder / str(tls["cert_file"]), folder / str(tls["key_file"]), _no_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise WebConfigError(f"{where}: {_cannot_load(tls, folder, error)}") from error
    _verify(context, tls, folder, where)
    return context


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    raise ValueError("the key is encrypted")


def _cannot_load(tls: Mapping[str, Any], folder: Path, error: Exception) -> str:
    for key in ("cert_file", "key_file"):
        try:
            (folder / str(tls[key])).read_bytes()
        except OSError as missing:
            return f"{key} {tls[key]} cannot be read: {missing.strerror}"
    reason = getattr(error, "reason", None) or error
    return (
        f"cert_file {tls['cert_file']} and key_file {tls['key_file']} are no pair in PEM without a password: {reason}"
    )


def _verify(context: ssl.SSLContext, tls: Mapping[str, Any], folder: Path, where: str) -> None:
    mode = _choice(tls, "client_auth_type", CLIENT_AUTH, "NoClientCert", where)
    authority = tls.get("client_ca_file")
    if authority and mode is ssl.CERT_NONE:
        raise WebConfigError(
            f"{where}: client_ca_file is of no use without client_auth_type: RequireAndVerifyClientCert"
        )
    if mode is ssl.CERT_NONE:
        return
    if not authority:
        raise WebConfigError(f"{where}: client_auth_type {tls['client_auth_type']} needs a client_ca_file")
    try:
        context.load_verify_locations(folder / str(authority))
    except OSError as error:
        raise WebConfigError(
            f"{where}: client_ca_file {authority} cannot be read: {error.strerror or error}"
        ) from error
    context.verify_mode = mode


def _choice(tls: Mapping[str, Any], key: str, choices: Mapping[str, Any], default: str, where: str) -> Any:
    value = tls.get(key) or default
    if value not in choices:
        raise WebConfigError(f"{where}: {key} {value} is not supported; choose from: {', '.join(choices)}")
    return choices[value]
