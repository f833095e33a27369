"""Extensions: whose fault it is, own files or packages, boxes around tracebacks, gradio asked by an extension."""

import pytest

from forgediag.explain import explain
from forgediag.explain.events import Said
from forgediag.explain.frames import Frames, named, place
from forgediag.explain.given import holds
from forgediag.explain.text import unboxed
from forgediag.testing.explained import roots

EXTENSION = '  File "/w/extensions/some/scripts/a.py", line 1, in f'
GRADIO = '  File "/w/venv/lib/python3.10/site-packages/gradio/components/file.py", line 1, in g'
BOX = "    │ │ /w/extensions/adetailer/scripts/!adetailer.py:811 in postprocess_image         │             │"


def root(*lines: str) -> Said:
    return explain(lines).troubles[0].root


def cause(*lines: str) -> str:
    return roots(explain(["Traceback (most recent call last):", *lines]))[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rembg", "package-missing-for-extension"),
        ("credentials_manager", "module-missing-in-extension"),
        ("insightface.app", "module-part-missing"),
        ("lib_some.utils", "own-part-missing-in-extension"),
    ],
)
def test_a_package_is_told_from_a_file_of_the_extension(name: str, expected: str) -> None:
    assert cause(EXTENSION, f"ModuleNotFoundError: No module named '{name}'") == expected


def test_what_a_package_misses_is_not_the_extensions() -> None:
    error = root(
        "Traceback (most recent call last):", EXTENSION, GRADIO, "ModuleNotFoundError: No module named 'orjson'"
    )
    assert error.signature is not None
    assert error.filled(error.signature.title) == "The Python package gradio needs orjson, which is not there"


@pytest.mark.parametrize(
    ("file", "expected"),
    [("modules/gradio_extensions.py", "gradio-refused-extension"), ("modules/ui.py", "forge-called-by-extension")],
)
def test_forge_only_hands_on_what_an_extension_asks_of_gradio(file: str, expected: str) -> None:
    assert cause(EXTENSION, f'  File "/w/{file}", line 1, in h', GRADIO, "OddError: x") == expected


def test_forges_own_components_are_not_an_extensions() -> None:
    assert cause('  File "/w/modules/ui_components.py", line 1, in h', GRADIO, "OddError: x") == "gradio-raised"


@pytest.mark.parametrize(
    ("gaps", "true"), [(("rembg.x",), True), (("lib_couple",), False), (("no name",), False), ((), False)]
)
def test_a_package_is_one_that_pip_installs(gaps: tuple[str, ...], true: bool) -> None:
    assert holds(["{1} is package"], gaps) is true


def test_a_name_is_one_of_a_module() -> None:
    assert holds(["{1} is name"], ("lib_couple",))
    assert not holds(["{1} is name"], ("lib couple",))
    assert holds(["{1} is own"], ("lib_couple",))
    assert not holds(["{1} is own"], ("rembg",))


@pytest.mark.parametrize(
    ("line", "inside"),
    [("  │ OddError: x     │ ", "OddError: x"), ("│ x", ""), ("OddError: x", ""), ("", "")],
)
def test_a_box_is_taken_off_a_line(line: str, inside: str) -> None:
    assert unboxed(line) == inside


ADETAILER = (
    "*** Error running postprocess_image: /w/extensions/adetailer/scripts/!adetailer.py",
    "    Traceback (most recent call last):",
    '      File "/w/modules/scripts.py", line 941, in postprocess_image',
    '      File "/w/extensions/adetailer/aaaaaa/traceback.py", line 173, in wrapper',
    "        raise error from None",
    "    AttributeError: ",
    "    ┌─────────────────────────────────────────────────────────────────────────┐",
    "    │                               System info                               │",
)


def test_an_error_in_a_box_counts_more_than_the_one_before_the_box() -> None:
    inner = (
        "    │ ╭────────────────── Traceback (most recent call last) ──────────────────╮             │",
        BOX,
        "    │ ╰───────────────────────────────────────────────────────────────────────╯             │",
        "    │ AttributeError: module 'modules.x' has no attribute 'y'                               │",
        "    └─────────────────────────────────────────────────────────────────────────┘",
    )
    said = root(*ADETAILER, *inner)
    assert said.signature is not None
    assert said.signature.id == "name-missing-in-extension"


def test_a_box_without_its_end_says_whose_it_is() -> None:
    said = root(*ADETAILER)
    assert said.signature is not None
    assert said.signature.id == "adetailer-raised"


def test_an_embedded_pythons_own_files_have_no_folder() -> None:
    frames = Frames()
    frames.add('  File "D:\\Forge\\extensions\\some\\scripts\\a.py", line 213, in f')
    frames.add('  File "json\\decoder.py", line 355, in raw_decode')
    assert str(frames.place()) == "the extension some (scripts/a.py, line 213, in f)"
    assert place("odd\\decoder.py").kind == "other"


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ("*** Error running install.py for extension /w/extensions/sd-face-editor.", "the extension sd-face-editor"),
        ("*** Error calling: C:\\w\\extensions\\ar\\scripts\\ar.py/ui", "the extension ar"),
        ("no path", None),
    ],
)
def test_a_line_names_the_extension(line: str, owner: str | None) -> None:
    here = named(line)
    assert (here.owner if here is not None else None) == owner


def test_both_of_two_words_must_be_so() -> None:
    frames = Frames()
    frames.add(EXTENSION)
    assert frames.hold(("@extension+scripts/a.py",))
    assert not frames.hold(("@extension+scripts/b.py", "@in-package"))


def test_a_traceback_that_is_cut_off_is_told_before_the_line_that_something_failed() -> None:
    heading = "*** Error executing callback app_started_callback for /w/extensions/some/scripts/a.py"
    said = root(heading, "    Traceback (most recent call last):", f"    {EXTENSION}")
    assert said.signature is not None
    assert said.filled(said.signature.title).endswith("it happened in the extension some")


def test_an_extensions_own_lookup_in_gradio_is_its_own() -> None:
    assert cause(EXTENSION, GRADIO, "KeyError: 'x'") == "keyerror-in-extension"


def test_a_setting_that_an_extension_asks_for_is_asked_by_the_extension() -> None:
    frame = '  File "/w/modules/options.py", line 100, in __getattr__'
    said = root(
        "Traceback (most recent call last):", EXTENSION, frame, "AttributeError: 'Options' object has no attribute 'x'"
    )
    assert said.place is not None
    assert said.place.owner == "the extension some"
