"""The card in this machine and the Forge that runs, through the real pynvml and a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forgediag.cli.here import card_here, running_forge
from forgediag.config import Config, TargetConfig
from forgediag.model import Forge, Gap, Gpu
from forgediag.testing.forge import ForgeThread

if TYPE_CHECKING:
    from tests.fake_nvml.control import FakeNvml


def test_the_only_card_is_the_card_here(fake_nvml: FakeNvml) -> None:
    assert isinstance(card_here(Config()), Gpu)


def test_two_cards_want_one_named(fake_nvml: FakeNvml) -> None:
    fake_nvml.write("gpus = 2\n")
    unnamed, named = card_here(Config()), card_here(Config(targets=(TargetConfig(gpu="1"),)))
    assert isinstance(unnamed, Gap)
    assert "set gpu" in unnamed.reason
    assert isinstance(named, Gpu)
    assert named.info.index == 1


def test_a_running_forge_is_read_once() -> None:
    with ForgeThread() as running:
        found = running_forge(Config(targets=(TargetConfig(url=running.url),)))
    assert isinstance(found, Forge)


def test_nothing_at_any_address_is_told_with_all_of_them() -> None:
    found = running_forge(Config(targets=(TargetConfig(url="http://127.0.0.1:9"),)))
    assert isinstance(found, Gap)
    assert found.reason == "nothing answers at http://127.0.0.1:9"


def test_an_address_that_is_none_is_left_to_http() -> None:
    found = running_forge(Config(targets=(TargetConfig(url="http://no-such-host.invalid:1"),)))
    assert isinstance(found, Gap)
    assert "nothing answers at" in found.reason
