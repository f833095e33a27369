"""`forgediag explain`, as it is called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forgediag.cli import main
from forgediag.sources import console_file

ERROR = 'Traceback (most recent call last):\n  File "x", line 1\n{}\n'
NO_CLIP = ERROR.format("AssertionError: You do not have CLIP state dict!")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments], input=stdin)


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "forge.log"
    path.write_text(text, "utf-8")
    return str(path)


def test_the_root_cause_comes_first_with_its_fixes(tmp_path: Path) -> None:
    stuck = ERROR.format("AttributeError: 'NoneType' object has no attribute 'sd_checkpoint_info'")
    result = run(written(tmp_path, NO_CLIP + stuck))
    assert result.exit_code == 0
    assert result.output.startswith("The CLIP text encoder is missing  [no-clip-state-dict]\n  line 3: AssertionError")
    assert "\n  1. Put clip_l" in result.output
    assert "follows from it, line 6: No model is loaded" in result.output


def test_older_and_lesser_troubles_are_told_after_it(tmp_path: Path) -> None:
    done = "Total progress: 100%|\n"
    low = "[Low GPU VRAM Warning] Your current GPU free memory is 1.00 MB\n"
    text = NO_CLIP + done + low + done + ERROR.format("ZeroDivisionError: x") * 1 + done + NO_CLIP + done
    result = run(written(tmp_path, text))
    assert "(2 times, this is the last)" in result.output
    assert "Before that, line 9: an error that forgediag does not know\n    ZeroDivisionError: x" in result.output
    assert "Also, works, but: Too little of the card" in result.output


def test_an_unknown_error_exits_1_and_says_so(tmp_path: Path) -> None:
    result = run("--json", written(tmp_path, ERROR.format("ZeroDivisionError: x")))
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["explanations"] == []
    assert document["unknown"] == [{"line": 3, "text": "ZeroDivisionError: x", "where": "the file x (line 1)"}]


def test_json_names_the_one_root_and_what_it_is_followed_by(tmp_path: Path) -> None:
    text = ERROR.format("ZeroDivisionError: x") + "\nDuring handling of the above exception, x:\n\n"
    text += ERROR.format("ValueError: Failed to recognize model type!") + "Connection errored out\n"
    document = json.loads(run("--json", written(tmp_path, text)).stdout)
    root, follows = document["explanations"]
    assert (root["primary"], root["inner"], root["follows"]) == (True, "ZeroDivisionError: x", None)
    assert (follows["primary"], follows["follows"]) == (False, "failed-to-recognize-model-type")
    assert "not known to forgediag: ZeroDivisionError" in run(written(tmp_path, text)).output


def test_errors_that_have_nothing_to_do_with_the_first_are_told_besides(tmp_path: Path) -> None:
    text = NO_CLIP + ERROR.format("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.")
    output = run(written(tmp_path, text)).output
    assert "where: the file x (line 1)" in output
    assert "besides, line 6: " in output


def test_what_follows_an_unknown_error_says_from_what(tmp_path: Path) -> None:
    text = ERROR.format("ZeroDivisionError: x") + "Connection errored out\n"
    (follows,) = json.loads(run("--json", written(tmp_path, text)).stdout)["explanations"]
    assert follows["follows"] == "ZeroDivisionError: x"


def test_a_healthy_log_is_said_to_be_so(tmp_path: Path) -> None:
    result = run(written(tmp_path, "Model loaded in 3.0s\n"))
    assert (result.exit_code, result.output) == (0, "Nothing wrong found in 1 lines.\n")


def test_an_answer_of_the_api_is_explained(tmp_path: Path) -> None:
    body = '{"error":"AssertionError","detail":"","body":"","message":"You do not have CLIP state dict!"}'
    assert "[no-clip-state-dict]" in run(written(tmp_path, body)).output
    assert "[api-404-no-api-flag]" in run(written(tmp_path, "{'detail': 'Not Found'}")).output


def test_a_huge_text_that_begins_like_json_is_read_as_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgediag.explain.body.LONGEST", 10)
    monkeypatch.setattr(console_file, "BLOCK", 60)
    assert "[no-clip-state-dict]" in run(written(tmp_path, "{\n" + NO_CLIP)).output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{nonsense", "is not JSON"),
        ("[[" * 500_000, "nested too deep"),
        ("", "is empty"),
        ("\0" * 100, "is a binary file"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    result = run(written(tmp_path, text))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert why in result.stderr


def test_nothing_given_and_too_much_given_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "give one of them" in run("x.log", "--journal", "forge").stderr
    assert run("--journal", "no such unit").exit_code in {0, 2}
    monkeypatch.setattr("forgediag.cli.explain._at_terminal", lambda: True)
    assert "nothing to explain" in run().stderr
