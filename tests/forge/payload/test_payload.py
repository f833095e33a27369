"""What lint says of payloads, as a real Forge dfdcbab was seen to take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from forgediag.forge.payload import MOST, Kind, Knowledge, guess, lint
from forgediag.model import Finding, Options, Severity
from forgediag.testing.facts import LISTING, OPTIONS

OFFLINE = Knowledge()
LIVE = Knowledge(
    options=frozenset(
        {
            "sd_model_checkpoint",
            "forge_additional_modules",
            "forge_inference_memory",
            "CLIP_stop_at_last_layers",
            "sd_vae",
        }
    ),
    listing=LISTING,
    selected=OPTIONS,
    total_mb=12288,
)
SAME_MODULES = {"forge_additional_modules": []}


def rules(values: dict[str, Any], kind: Kind = "options", known: Knowledge = OFFLINE) -> list[str]:
    return [finding.check for finding in lint(values, kind, known)]


def only(values: dict[str, Any], kind: Kind = "options", known: Knowledge = OFFLINE) -> Finding:
    (finding,) = lint(values, kind, known)
    return finding


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"prompt": "x", "steps": 20, "width": 512, "sampler_name": "Euler a", "scheduler": "Karras"}, "txt2img"),
        ({"prompt": "x", "sampler_name": "DPM++ 2M Karras", "seed": -1, "styles": None}, "txt2img"),
        ({"enable_hr": True, "hr_additional_modules": ["Use same choices"], "hr_scheduler": ""}, "txt2img"),
        ({"alwayson_scripts": {"ControlNet": {"args": []}}, "script_name": "X/Y/Z plot", "script_args": []}, "txt2img"),
        ({"init_images": ["aGk="], "denoising_strength": "0.5"}, "img2img"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 2}, "refiner_checkpoint": "x"}, "txt2img"),
        ({"override_settings": None, "hr_checkpoint_name": "Use same checkpoint"}, "txt2img"),
        ({"forge_inference_memory": 1024, "forge_async_loading": "Async"}, "options"),
        ({"forge_inference_memory": None, "samples_save": "yes"}, "options"),
        ({"sd_model_checkpoint": "model.safetensors", "forge_additional_modules": ["/a/ae.safetensors"]}, "options"),
        ({}, "options"),
    ],
)  # fmt: skip
def test_a_good_payload_says_nothing(values: dict[str, Any], kind: Kind) -> None:
    assert lint(values, kind, OFFLINE) == ()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"prompt": "x"}, "txt2img"),
        ({"init_images": []}, "img2img"),
        ({"sd_model_checkpoint": "x", "prompt": ""}, "txt2img"),
        ({"sd_model_checkpoint": "x"}, "options"),
        ({}, "txt2img"),
    ],
)
def test_the_keys_tell_where_a_payload_goes(values: dict[str, Any], kind: Kind) -> None:
    assert guess(values) == kind


def test_an_unknown_option_is_refused_and_a_likely_name_offered() -> None:
    finding = only({"samples_format": "png", "forge_inference_memory": 900, "sd_checkpoint_model": "x"})
    assert finding.severity is Severity.FAILURE
    assert "500 KeyError; did you mean sd_model_checkpoint?" in finding.message
    assert "(samples_format) is applied all the same" in finding.message
    assert only({"zzzzzz": 1}).fix == ("Leave it out.",)


@pytest.mark.parametrize(
    ("fork", "name"),
    [("neo", "forge_inference_memory"), ("ersatzforge", "forge_async_loading"), ("other", "forge_additional_modules")],
)
def test_an_option_the_fork_does_not_have_is_refused(fork: Any, name: str) -> None:
    finding = only({name: 1}, known=Knowledge(fork=fork))
    assert finding.message == f"{fork} has no option {name}: the request ends in 500 KeyError"
    assert ("--reserve-vram" in str(finding.fix)) is (fork == "neo")


def test_a_wrong_type_breaks_reading_the_options() -> None:
    assert (
        "every GET /sdapi/v1/options of any client is 500, restarts"
        in only({"CLIP_stop_at_last_layers": "two"}).message
    )
    override = only({"override_settings": {"CLIP_stop_at_last_layers": []}}, "txt2img")
    assert "while the job runs" in override.message


@pytest.mark.parametrize(
    ("value", "rule", "words", "total"),
    [
        ("2048", "memory-type", "500 TypeError", None),
        (True, "memory-type", "stored as 1 MB", None),
        (8, "memory-unit", "GB were meant", None),
        (1_073_741_824, "memory-unit", "bytes or KB", None),
        (-1000, "memory-range", "negative", None),
        (0, "memory-range", "keeps nothing", None),
        (7000, "memory-meaning", "not GPU Weights", None),
        (7000, "memory-meaning", "the two seem mixed up", 12288),
        (99999, "memory-meaning", "leaves -87711 of 12288", 12288),
    ],
)
def test_memory_is_a_number_of_mb_and_the_reserve(value: Any, rule: str, words: str, total: int | None) -> None:
    finding = only({"forge_inference_memory": value}, known=replace(OFFLINE, total_mb=total))
    assert finding.check == rule
    assert words in finding.message


def test_the_complement_is_offered_for_gpu_weights() -> None:
    finding = only({"forge_inference_memory": 11264}, known=replace(OFFLINE, total_mb=12288))
    assert finding.fix == ("For GPU Weights 11264 MB send 1024.",)
    assert finding.evidence["gpu_weights_mb"] == 1024
    assert rules({"forge_inference_memory": 4096}, known=replace(OFFLINE, total_mb=12288)) == []


def test_a_value_that_forge_shows_but_does_not_use() -> None:
    assert "works as with 'Queue'" in only({"forge_async_loading": "Turbo"}).message
    assert "works as with 'Automatic'" in only({"forge_unet_storage_dtype": ["int3"]}).message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the first checkpoint of its list"),
        (7, "is a whole number: 500"),
        ("/models/other.safetensors", "is a path"),
        ("C:\\models\\other.safetensors", "is a path"),
        ("", "is empty"),
    ],
)
def test_a_checkpoint_that_no_forge_finds(value: Any, words: str) -> None:
    assert words in lint({"sd_model_checkpoint": value, **SAME_MODULES}, "options", OFFLINE)[0].message


def test_a_checkpoint_is_looked_up_where_a_forge_lists_them() -> None:
    finding = only({"sd_model_checkpoint": "OTHER.safetensors", **SAME_MODULES}, known=LIVE)
    assert "is not in Forge's list: Forge answers 500" in finding.message
    assert "did you mean other.safetensors?" in finding.message
    assert rules({"sd_model_checkpoint": "other", **SAME_MODULES}, known=LIVE) == []
    override = {"override_settings": {"sd_model_checkpoint": "gone", **SAME_MODULES}}
    assert "quietly uses the model selected now" in lint(override, "txt2img", LIVE)[0].message
    assert rules({"override_settings": {"sd_model_checkpoint": None, **SAME_MODULES}}, "txt2img") == []


@pytest.mark.parametrize(
    ("value", "rule", "words"),
    [
        ("ae.safetensors", "option-type", "letter by letter"),
        (None, "option-type", "500 TypeError"),
        ([None], "option-type", "an entry of"),
        (["C:\\vae\\ae.safetensors"], "module-unknown", "Windows path"),
    ],
)
def test_modules_are_a_list_of_names(value: Any, rule: str, words: str) -> None:
    finding = only({"forge_additional_modules": value})
    assert finding.check == rule
    assert words in finding.message


def test_a_module_that_is_not_listed_is_dropped_without_a_word() -> None:
    finding = only({"forge_additional_modules": ["sdxl_vea.safetensors", "sdxl_vae.safetensors"]}, known=LIVE)
    assert "drops the name without a word and clears" in finding.message
    assert finding.message.endswith("did you mean sdxl_vae.safetensors?")
    override = {"override_settings": {"forge_additional_modules": ["nope.safetensors"]}}
    assert "for this job" in lint(override, "txt2img", LIVE)[0].message


def test_modules_of_an_earlier_job_stay() -> None:
    assert "those of an earlier job stay" in only({"sd_model_checkpoint": "x"}).message
    assert "(sdxl_vae.safetensors)" in only({"sd_model_checkpoint": "other"}, known=LIVE).message
    none = replace(LIVE, selected=Options({"forge_additional_modules": []}))
    assert rules({"sd_model_checkpoint": "other"}, known=none) == []


def test_sd_vae_has_no_effect() -> None:
    assert only({"sd_vae": "x"}).check == "option-without-effect"


def test_an_unknown_field_is_ignored_by_forge_and_told() -> None:
    assert "did you mean steps?" in only({"num_inference_steps": 20}, "txt2img").message
    assert only({"num_inference_steps": 20}, "txt2img").severity is Severity.WARNING
    assert only({"zzzzz": 20}, "txt2img").fix == ("Leave it out.",)
    option = only({"sd_checkpoint_model": "x"}, "txt2img")
    assert option.severity is Severity.FAILURE
    assert option.fix == ('Move it: "override_settings": {"sd_model_checkpoint": …}.',)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"steps": "many"}, "txt2img"),
        ({"steps": 20.5}, "txt2img"),
        ({"prompt": 7}, "txt2img"),
        ({"tiling": "maybe"}, "txt2img"),
        ({"send_images": None}, "txt2img"),
        ({"denoising_strength": None, "init_images": ["x"]}, "img2img"),
        ({"styles": "one"}, "txt2img"),
        ({"override_settings": []}, "txt2img"),
        ({"cfg_scale": []}, "txt2img"),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_with_422(values: dict[str, Any], kind: Kind) -> None:
    finding = only(values, kind)
    assert finding.check == "field-type"
    assert "422" in finding.message


def test_an_unknown_sampler_becomes_another_without_a_word() -> None:
    finding = only({"sampler_name": "euler"}, "txt2img", LIVE)
    assert finding.message.endswith("takes its first one, DPM++ 2M; did you mean Euler?")
    assert rules({"scheduler": ["x"], "script_name": ""}, "txt2img") == ["field-type"]
    assert "(unless an extension" in only({"sampler_index": "k_euler"}, "txt2img").message
    assert only({"scheduler": "karas"}, "txt2img").message.endswith("did you mean karras?")


def test_scripts_that_forge_does_not_have() -> None:
    assert only({"script_name": "mine"}, "txt2img", LIVE).severity is Severity.FAILURE
    assert only({"alwayson_scripts": {"adetailer": {}}}, "txt2img").severity is Severity.WARNING
    assert only({"alwayson_scripts": {"ControlNet": []}}, "txt2img").check == "script-arguments"
    assert only({"alwayson_scripts": {"ControlNet": {"args": 1}}}, "txt2img").check == "script-arguments"


def test_a_refiner_that_is_not_listed_ends_the_job() -> None:
    assert only({"refiner_checkpoint": "nope"}, "txt2img", LIVE).check == "model-unknown"
    assert rules({"refiner_checkpoint": "other"}, "txt2img", LIVE) == []


def test_hires_needs_its_modules() -> None:
    assert only({"enable_hr": True}, "txt2img").fix == ('Add "hr_additional_modules": ["Use same choices"].',)
    assert rules({"enable_hr": True}, "txt2img", Knowledge(fork="other")) == []


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"width": 513}, "size-multiple"),
        ({"width": 8192}, "size-unusual"),
        ({"height": 0}, "size-unusual"),
        ({"batch_size": 64}, "size-unusual"),
        ({"steps": 1000}, "size-unusual"),
        ({"hr_second_pass_steps": -1}, "size-unusual"),
    ],
)
def test_sizes_that_are_changed_or_unusual(values: dict[str, Any], rule: str) -> None:
    assert only(values, "txt2img").check == rule


def test_what_overrides_cost_and_leave_behind() -> None:
    override = {"forge_inference_memory": 2048}
    stays = {"override_settings": override, "override_settings_restore_afterwards": False}
    assert rules(stays, "txt2img") == ["override-stays", "override-unloads"]
    both = {"sd_model_checkpoint": "other", "forge_additional_modules": []}
    finding = only({"override_settings": both}, "txt2img", LIVE)
    assert finding.message.startswith("sd_model_checkpoint and forge_additional_modules differ")
    as_now = {"sd_model_checkpoint": "sd_xl_base_1.0", "forge_additional_modules": ["sdxl_vae.safetensors"]}
    assert rules({"override_settings": as_now}, "txt2img", LIVE) == []
    assert rules({"override_settings": {"forge_additional_modules": "x"}}, "txt2img", LIVE) == ["option-type"]


def test_img2img_needs_a_picture() -> None:
    assert only({"prompt": "x"}, "img2img").check == "init-image-missing"


def test_a_prompt_is_never_repeated_and_names_are_cut() -> None:
    found = lint({"prompt": ["SECRET"], "SECRET" * 50: 1, "bell\x07": 1}, "txt2img", OFFLINE)
    assert "SECRETSECRETSECRETSECRET" in found[1].message
    assert all(len(finding.subject) <= 80 and "\x07" not in finding.subject for finding in found)
    assert "SECRET" not in found[0].message


def test_the_number_of_findings_is_bounded() -> None:
    assert len(lint({f"x{number}": 1 for number in range(1000)}, "txt2img", OFFLINE)) == MOST
