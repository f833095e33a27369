"""Options that break GET, and selections that name nothing."""

from __future__ import annotations

from dataclasses import replace

from forgediag.model import Listing, Options, Unfinished
from forgediag.testing.facts import LISTING, TARGET, options, problems
from forgediag_checks.options import options_readable, probe_unfinished, selected_model_missing


def test_an_option_of_a_wrong_type_is_named_with_its_cure() -> None:
    broken = Options({"CLIP_stop_at_last_layers": "two"}, ("CLIP_stop_at_last_layers",))
    (problem,) = problems(options_readable, broken)
    assert problem.evidence == {"option": "CLIP_stop_at_last_layers", "type": "str"}
    assert problem.fix is not None
    assert '{"CLIP_stop_at_last_layers": VALUE}' in problem.fix[0]
    assert "two" not in problem.message


def test_a_checkpoint_that_is_gone_names_the_one_forge_uses_instead() -> None:
    (problem,) = problems(selected_model_missing, options(sd_model_checkpoint="gone.safetensors [0123456789]"))
    assert problem.evidence == {"selected": "gone.safetensors [0123456789]", "used": "other.safetensors", "listed": 2}


def test_no_checkpoint_selected_is_fine() -> None:
    assert problems(selected_model_missing, options(sd_model_checkpoint=None)) == []


def test_a_module_that_is_not_listed_is_named() -> None:
    (problem,) = problems(
        selected_model_missing, options(forge_additional_modules=["/forge/models/VAE/ae.safetensors"])
    )
    assert problem.subject == "ae.safetensors"


def test_an_empty_list_of_checkpoints_says_what_forge_will_say() -> None:
    (problem,) = problems(selected_model_missing, Listing((), LISTING.modules))
    assert "You do not have any model!" in problem.message


def test_what_a_killed_probe_left_is_told_with_what_was_before() -> None:
    assert problems(probe_unfinished, TARGET) == []
    left = Unfinished(
        "/s/undo-1.json", {"sd_model_checkpoint": "a", "forge_additional_modules": ["/f/VAE/ae.safetensors"]}
    )
    (problem,) = problems(probe_unfinished, replace(TARGET, unfinished=left))
    assert "before, it had sd_model_checkpoint 'a', forge_additional_modules [ae.safetensors]" in problem.message
    assert problem.fix is not None
    assert "doctor --cure" in problem.fix[0]
    (problem,) = problems(probe_unfinished, replace(TARGET, unfinished=Unfinished("/s/undo-1.json", unreadable="cut")))
    assert problem.message == "cut"
