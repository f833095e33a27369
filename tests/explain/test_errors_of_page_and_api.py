"""Where an error was raised says which step of Forge failed, and whether an extension had a hand in it."""

import pytest

from forgediag.explain import explain
from forgediag.testing.explained import roots

TRACEBACK = "Traceback (most recent call last):"
EXTENSION = '  File "/w/extensions/some/scripts/a.py", line 1, in f'


def frame(path: str) -> str:
    return f'  File "/w/{path}", line 1, in f'


def root(*lines: str) -> str:
    return roots(explain([TRACEBACK, *lines]))[0]


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("modules/images.py", "forge-saving-image"),
        ("modules/ui_settings.py", "forge-building-page"),
        ("modules/cache.py", "forge-cache"),
        ("modules/api/api.py", "forge-answering-api"),
        ("modules/launch_utils.py", "forge-starting"),
        ("modules/odd.py", "?"),
    ],
)
def test_the_step_of_forge_that_failed_is_told_by_the_file_of_the_last_frame(path: str, cause: str) -> None:
    assert root(frame("modules/api/api.py"), frame(path), "OddError: strange") == cause


def test_an_extension_that_called_forge_is_told_before_the_step() -> None:
    assert root(EXTENSION, frame("modules/images.py"), "OddError: strange") == "forge-called-by-extension"
    assert root(frame("modules/images.py"), EXTENSION, "OddError: strange") == "extension-raised"


def test_a_venv_that_starts_nothing_is_no_want_of_memory() -> None:
    lines = ['venv "C:\\forge\\venv\\Scripts\\Python.exe"', "Press any key to continue . . ."]
    assert root(*lines) == "python-says-nothing"
    assert root(lines[0], "Python 3.10.6", lines[1]) == "press-any-key"


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("modules/extra_networks.py", "json-user-metadata"),
        ("modules/ui_loadsave.py", "json-ui-config"),
        ("modules/odd.py", "json-expected-nothing-came"),
    ],
)
def test_a_json_text_is_named_by_who_reads_it(path: str, cause: str) -> None:
    assert root(frame(path), "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)") == cause


def test_a_package_that_forge_called_is_named() -> None:
    package = frame("venv/lib/python3.10/site-packages/transformers/x.py")
    assert root(frame("modules/odd.py"), package, "OddError: strange") == "package-of-forge-raised"
    assert root(frame("modules/images.py"), package, "OddError: strange") == "forge-saving-image"
    assert root(package, "OddError: strange") == "package-raised"


@pytest.mark.parametrize(
    "answer",
    [
        "# {'error': 'IndexError', 'detail': '', 'body': '', 'message': 'list assignment index out of range'}",
        'answered: {"error":"IndexError","detail":"","body":"","errors":"list assignment index out of range"}',
    ],
)
def test_an_answer_of_the_api_that_a_client_printed_is_read(answer: str) -> None:
    trouble = explain(["<Response [500]>", answer]).troubles[0]
    assert trouble.root.signature is not None
    assert trouble.root.signature.id == "api-script-args-too-few"
    assert trouble.root.text == "IndexError: list assignment index out of range"


def test_an_answer_without_a_message_is_left_as_it_is() -> None:
    answer = "{'error': 'HTTPException', 'detail': 'Sampler not found', 'body': '', 'errors': ''}"
    assert explain(["a client:", answer]).troubles[0].root.text == answer
