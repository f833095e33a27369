"""Starting a real Prometheus: what happens when it does not start. Elsewhere it does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from forgediag.testing.prometheus import running


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_a_prometheus_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\necho bad config >&2\nexit 1\n", "utf-8")
    broken.chmod(0o755)
    with pytest.raises(RuntimeError, match="did not start: bad config"), running(tmp_path, [], binary=str(broken)):
        pass
