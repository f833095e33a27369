"""Certificates made by the openssl program, and web config files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


class Certificates:
    """A certificate authority of one's own; `make` gives a certificate and its key by that name."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder, self._program = folder, program
        self._run(
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            *EC,
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=test",
            "-days",
            "2",
        )

    def make(self, name: str) -> tuple[Path, Path]:
        """A certificate for localhost and 127.0.0.1, signed by the authority."""
        self._run(
            "req", "-nodes", "-newkey", "ec", *EC, "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}"
        )
        (self.folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", "utf-8")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"]
        self._run("x509", "-req", "-in", "csr", "-out", f"{name}.pem", *sign)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._program, *arguments], cwd=self.folder, check=True, capture_output=True)


EC = ("-pkeyopt", "ec_paramgen_curve:prime256v1")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """An authority whose `ca.pem`, and `server.pem` with `server.key`, lie in tmp_path."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed: no certificate can be made, so nothing about TLS is tested")
    made = Certificates(tmp_path, program)
    made.make("server")
    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes `web.yml` in tmp_path, from lines."""

    def act(*lines: str) -> Path:
        path = tmp_path / "web.yml"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path

    return act
