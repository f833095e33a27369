"""Everything the package brings, as it is found from outside."""

from __future__ import annotations

from forgediag.plugins import assets, exporters, files
from forgediag_exporters import EXPORTERS


def test_exporters_and_assets_are_found_through_their_entry_point() -> None:
    assert {*exporters(), *assets(), *files()} >= set(EXPORTERS)


def test_every_exporter_has_a_name_of_its_own() -> None:
    names = [item.name for item in exporters()]
    assert len(set(names)) == len(names)


def test_assets_write_below_their_directory() -> None:
    found = {asset.kind: asset.files() for asset in assets()}
    assert {"grafana", "prometheus"} <= set(found)
    for written in found.values():
        for name, content in written.items():
            assert not name.startswith("/")
            assert ".." not in name
            assert content.endswith("\n")
