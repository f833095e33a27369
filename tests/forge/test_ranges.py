"""What the ranges inside a VAE mean for each number format."""

from __future__ import annotations

import math

import pytest

from forgediag.forge.autoencoder.ranges import broken, judge, largest, leaves, safe_dtypes
from forgediag.model import DeepProbe, Pass, Severity


def probe(*passes: Pass) -> DeepProbe:
    return DeepProbe("/models/VAE/some.safetensors", 4, passes)


def decode(largest: dict[str, float], spread: float | None = 2.0, given: str = "gaussian 8x8 latent") -> Pass:
    return Pass("decode", given, largest, spread, 0.5)


SOUND = decode({"decoder.conv_in": 20.0, "decoder.conv_out": 3.0})


def test_a_sound_vae_has_no_finding_and_fits_every_format() -> None:
    assert judge(probe(SOUND)) == ()
    assert safe_dtypes(probe(SOUND)) == {"float16": True, "bfloat16": True, "float32": True}


def test_the_first_layer_above_fp16_is_named_and_only_fp16_is_unsafe() -> None:
    made = probe(SOUND, decode({"decoder.conv_in": 1.0, "decoder.up.1.block.1.conv2": 290_147.0, "decoder.x": 3e5}))
    (finding,) = judge(made)
    assert finding.severity is Severity.WARNING
    assert finding.evidence["layer"] == "decoder.up.1.block.1.conv2"
    assert "290,147" in finding.message
    assert safe_dtypes(made) == {"float16": False, "bfloat16": True, "float32": True}
    peak = leaves(made)
    assert peak is not None
    assert peak.layer == "decoder.up.1.block.1.conv2"


@pytest.mark.parametrize(("value", "found"), [(30_000.0, 0), (30_001.0, 1), (65_504.0, 1)])
def test_a_range_near_fp16s_limit_is_a_warning(value: float, found: int) -> None:
    made = probe(decode({"decoder.conv_in": value}))
    assert [finding.severity for finding in judge(made)] == [Severity.WARNING] * found
    assert safe_dtypes(made)["float16"]


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "infinity")])
def test_what_is_not_finite_in_fp32_is_a_failure_in_every_format(value: float, word: str) -> None:
    made = probe(decode({"decoder.conv_in": 5.0, "decoder.mid.block_1.conv1": value}, None))
    (finding,) = judge(made)
    assert finding.severity is Severity.FAILURE
    assert word in finding.message
    assert "decoder.mid.block_1.conv1" in finding.message
    assert not any(safe_dtypes(made).values())
    peak = largest(made)
    assert peak is not None
    assert peak.largest == 5.0


def test_one_colour_out_of_noise_is_a_failure() -> None:
    (finding,) = judge(probe(decode({"decoder.conv_out": 0.5}, 0.0)))
    assert finding.severity is Severity.FAILURE
    assert "one colour" in finding.message


def test_one_colour_out_of_one_value_is_what_a_vae_should_give() -> None:
    assert judge(probe(decode({"decoder.conv_out": 0.5}, 0.0, "flat 8x8 latent"))) == ()


def test_nothing_run_has_no_peak() -> None:
    assert largest(probe()) is None
    assert broken(probe()) is None
