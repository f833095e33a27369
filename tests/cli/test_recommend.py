"""`forgediag recommend` and `options set`: offline, for a running Forge, with a picture, and applied."""

from __future__ import annotations

import json
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forgediag.actions import Applied, Change
from forgediag.cli.curve import svg, terminal
from forgediag.cli.glyphs import ASCII, FINE
from forgediag.cli.recommend_text import compared, comparison, undo_command, written
from forgediag.model import Advice, CurvePoint, Expected, Setting
from forgediag.plan.compare import Variant
from forgediag.testing.forge import ForgeThread, JobRequest, Pace, Setup
from forgediag.testing.models import write_models
from forgediag.tradeoff import marks

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, Model, Run

CARD = ["--vram", "6GiB", "--gpu", "RTX 2060", "--ram", "32GB"]


@contextmanager
def forge(tmp_path: Path, **how: Any) -> Iterator[ForgeThread]:
    """A Forge that has SDXL selected, whose files are here, and no card anybody could see."""
    write_models(tmp_path)
    setup = {"root": str(tmp_path), "selected": "sunrise-sdxl.safetensors", "vram_mb": 6144, **how}
    with ForgeThread(Setup(**setup)) as running:
        yield running


def ask(run: Run, running: ForgeThread, *options: str) -> Ended:
    return run("--forge", running.url, "recommend", *CARD, *options)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGEDIAG_HASH_MODELS", "no")


@pytest.mark.usefixtures("no_forge", "no_card")
def test_a_file_is_advised_on_without_a_forge(run: Run, model: Model) -> None:
    ended = run("recommend", model("sdxl"), *CARD)
    assert ended.status == 0
    assert "now        forge_inference_memory 1024 MB (GPU Weights 5120 MB), Queue + CPU" in ended.out
    assert "better     forge_inference_memory" in ended.out
    assert "recommended" in ended.out
    assert "assumed    a card of 6144 MB" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100


@pytest.mark.usefixtures("no_forge", "no_card")
def test_the_document_has_every_key_of_the_schema(run: Run, model: Model) -> None:
    document = run("recommend", model("sdxl"), *CARD, "--json").json
    assert document["schema"] == "forgediag.recommend/1"
    assert document["recommended"].keys() == {
        "forge_inference_memory",
        "gpu_weights_mb",
        "forge_async_loading",
        "forge_pin_shared_memory",
    }
    assert document["also_set"] == {"xl_GPU_MB": document["recommended"]["gpu_weights_mb"]}
    assert document["expected"].keys() >= {"per_image_seconds", "current_per_image_seconds", "speedup", "peak_mb"}
    assert document["curve"][0].keys() >= {"forge_inference_memory", "gpu_weights_mb", "swap_mb", "fits"}
    assert document["because"]
    assert document["confidence"] == "estimated"


@pytest.mark.usefixtures("no_forge", "no_card")
def test_storage_types_stand_side_by_side(run: Run, model: Model) -> None:
    ended = run("recommend", model("sdxl"), *CARD, "--compare")
    rows = [line for line in ended.out.splitlines() if line.startswith("float")]
    assert [row.split()[0] for row in rows] == ["float16", "float8_e4m3fn"]
    compared = run("recommend", model("sdxl"), *CARD, "--compare", "--json").json["compare"]
    assert [row["storage"] for row in compared] == ["float16", "float8_e4m3fn"]
    assert compared[0]["same"]
    assert compared[0]["recommended"]["gpu_weights_mb"] + compared[0]["recommended"]["forge_inference_memory"] == 6144


@pytest.mark.usefixtures("no_forge", "no_card")
def test_the_curve_is_written_as_a_picture(run: Run, model: Model, tmp_path: Path) -> None:
    picture = tmp_path / "curve.svg"
    assert run("recommend", model("sdxl"), *CARD, "-o", picture).status == 0
    text = "".join(ET.fromstring(picture.read_text("utf-8")).itertext())
    assert "you are here: 1024 MB (GPU Weights 5120 MB)" in text
    assert "recommended: " in text


@pytest.mark.parametrize(("name", "status"), [("curve.png", 2), ("no/folder/curve.svg", 1)])
@pytest.mark.usefixtures("no_forge", "no_card")
def test_a_picture_that_cannot_be_written_is_one_line(run: Run, model: Model, name: str, status: int) -> None:
    ended = run("recommend", model("sd15"), *CARD, "-o", name)
    assert (ended.status, ended.out) == (status, "")
    assert "svg" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.usefixtures("no_forge", "no_card")
def test_what_cannot_be_advised_on_is_one_line(run: Run, model: Model) -> None:
    refused, odd = run("recommend", model("flux:fp8"), *CARD), run("recommend", model("sd15"), *CARD, "--batch", "0")
    assert (refused.status, odd.status) == (1, 2)
    assert "You do not have CLIP state dict!" in refused.err
    assert "batch 0" in odd.err


@pytest.mark.usefixtures("quick")
def test_what_a_running_forge_has_selected_is_advised_on(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        document = ask(run, running, "--storage", "fp8", "--inference-memory", "2000", "--json").json
    assert document["model"] == "sunrise-sdxl.safetensors"
    assert document["current"]["forge_inference_memory"] == 2000
    assert document["targets"].keys() == {"forge"}


@pytest.mark.usefixtures("quick", "no_card")
def test_a_forge_without_a_card_wants_one_described(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        ended = run("--forge", running.url, "--gpu", "GPU-0", "recommend")
    assert ended.status == 3
    assert "describe the card with --vram or --gpu" in ended.err


@pytest.mark.usefixtures("quick")
def test_advice_is_applied_and_undone_by_the_command_it_tells(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        ended = ask(run, running, "--apply")
        undo = next(line for line in ended.out.splitlines() if line.startswith("undo: forgediag "))
        after = running.call(lambda it: dict(it.options.data))
        undone = run(*shlex.split(undo)[2:])
        before = running.call(lambda it: dict(it.options.data))
    assert (ended.status, undone.status) == (0, 0)
    assert after["forge_inference_memory"] != 1024
    assert after["xl_GPU_MB"] == 6144 - int(str(after["forge_inference_memory"]))
    assert before["forge_inference_memory"] == 1024
    assert before["xl_GPU_MB"] == 5120
    assert f"forge_inference_memory   1024 -> {after['forge_inference_memory']}" in ended.out


@pytest.mark.usefixtures("quick")
def test_applying_is_in_the_document(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        applied = ask(run, running, "--apply", "--json").json["applied"]
    assert applied["undo"]["forge_inference_memory"] == 1024
    assert applied["undo_command"].startswith("forgediag --forge http://127.0.0.1:")
    assert applied["nudged"] is False


@pytest.mark.usefixtures("quick")
def test_applying_again_after_a_restart_nudges(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        ask(run, running, "--apply")
        running.wait(lambda it: it.restart())
        ended = ask(run, running, "--apply")
        effective = running.call(lambda it: it.options.effective_mb)
        shown = running.call(lambda it: it.options.value("forge_inference_memory"))
    assert ended.status == 0
    assert effective == shown != 1024
    assert "It was written anew" in ended.out


@pytest.mark.usefixtures("quick")
def test_a_running_job_keeps_the_advice_from_being_applied(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path, pace=Pace(load_per_gb=30)) as running:
        running.call(lambda it: it.start_job(JobRequest()))
        ended = ask(run, running, "--apply", "--json")
        posted = running.call(lambda it: "POST /sdapi/v1/options" in it.requests)
    assert ended.status == 1
    assert "a job is running" in ended.json["applied"]["error"]
    assert "a job is running" in ended.err
    assert not posted


@pytest.mark.usefixtures("no_card", "quick")
def test_advice_on_a_file_is_applied_too(run: Run, model: Model, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        ended = run("--forge", running.url, "recommend", model("sdxl"), *CARD, "--location", "cpu", "--apply")
        value = running.call(lambda it: it.options.value("forge_inference_memory"))
    assert ended.status == 0
    assert value != 1024


@pytest.mark.usefixtures("no_card")
def test_applying_to_no_forge_is_exit_1(run: Run, model: Model) -> None:
    settings = ["--inference-memory", "1024", "--swap", "queue", "--location", "cpu"]
    ended = run("--forge", "http://127.0.0.1:9", "recommend", model("sdxl"), *CARD, *settings, "--apply")
    assert ended.status == 1
    assert "nothing was written" in ended.err


@pytest.mark.usefixtures("no_forge", "no_card")
def test_a_setting_that_fits_nothing_is_not_applied(run: Run, model: Model) -> None:
    ended = run("recommend", model("sdxl"), "--vram", "1GiB", "--batch", "16", "--size", "2048x2048", "--apply")
    assert ended.status == 1
    assert "no setting fits" in ended.err


@pytest.mark.usefixtures("quick")
def test_neo_is_told_its_flag(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path, fork="neo") as running:
        ended = ask(run, running, "--apply")
        posted = running.call(lambda it: "POST /sdapi/v1/options" in it.requests)
    assert ended.status == 1
    assert "start it with --reserve-vram" in ended.err
    assert not posted


def test_options_are_set_and_read_back(run: Run, tmp_path: Path) -> None:
    with forge(tmp_path) as running:
        ended = run("--forge", running.url, "options", "set", "forge_inference_memory=2048", "forge_preset=xl")
        document = run("--forge", running.url, "options", "set", "forge_preset=flux", "--json").json
    assert ended.status == 0
    assert "forge_inference_memory  1024 -> 2048" in ended.out
    assert document["undo"] == {"forge_preset": "xl"}


@pytest.mark.parametrize(
    ("pair", "status", "words"),
    [("forge_preset", 2, "not KEY=VALUE"), ("nothing=1", 1, "no option"), ("forge_inference_memory=lots", 1, "number")],
)
def test_options_that_cannot_be_set_are_one_line(run: Run, tmp_path: Path, pair: str, status: int, words: str) -> None:
    with forge(tmp_path) as running:
        ended = run("--forge", running.url, "options", "set", pair)
    assert ended.status == status
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_options_of_a_forge_that_is_down_are_not_set(run: Run) -> None:
    ended = run("--forge", "http://127.0.0.1:9", "options", "set", "a=1")
    assert ended.status == 1
    assert "nothing was written" in ended.err


@pytest.mark.parametrize(
    "command", [["recommend", *CARD, "--apply"], ["options", "set", "forge_inference_memory=2000"]]
)
@pytest.mark.usefixtures("quick")
def test_a_wrong_password_is_exit_1(run: Run, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "secret").write_text("me:wrong\n", "utf-8")
    with forge(tmp_path, auth="me:right") as running:
        ended = run("--forge", running.url, "--auth-file", "secret", *command)
    assert (ended.status, ended.out) == (1, "")
    assert "Incorrect username or password; nothing was written" in ended.err


@pytest.mark.usefixtures("quick")
def test_a_forge_that_is_down_is_exit_3_where_nothing_was_to_be_written(run: Run) -> None:
    ended = run("--forge", "http://127.0.0.1:9", "recommend", *CARD)
    assert ended.status == 3


SETTING = Setting(1024, 7168, "Queue", "CPU")


def advice(seconds: float | None, points: tuple[CurvePoint, ...], current: Setting | None = SETTING) -> Advice:
    return Advice("a <model>", current, SETTING, {}, Expected(seconds, 9.0), points, (), "estimated")


def test_without_a_speed_there_is_no_curve() -> None:
    made = advice(None, (CurvePoint(1024, 7168, 0, None, fits=True),))
    assert (marks(made), list(terminal(made, FINE)), svg(made)) == (None, [], None)


def test_points_that_may_run_out_of_memory_are_marked() -> None:
    points = tuple(CurvePoint(mb, 8192 - mb, 0, 5 + mb / 1000, fits=mb > 600) for mb in range(500, 2000, 100))
    made = advice(5.0, points, current=None)
    text = "\n".join(terminal(made, ASCII))
    assert "x may run out of memory" in text
    picture = ET.fromstring(svg(made) or "")
    assert "may run out of memory" in "".join(picture.itertext())
    assert "a <model>" in "".join(picture.itertext())


def test_a_type_that_cannot_be_advised_on_says_why() -> None:
    rows = [Variant("nf4", 6246.8, same=False, advice=None, reason="Forge will not load this")]
    assert list(comparison(rows))[1].endswith("Forge will not load this")
    assert compared(rows)[0]["reason"] == "Forge will not load this"


def test_values_are_undone_as_options_set_takes_them() -> None:
    change = Applied((Change("a", 1024.0, 2.5), Change("b", "x y", "z"), Change("c", [1], None)))
    assert undo_command(change.undo, "http://h") == "forgediag --forge http://h options set a=1024 'b=x y' 'c=[1]'"
    assert "  a  1024 -> 2.5" in list(written(change, "http://h"))
    assert json.dumps(change.undo) in "\n".join(written(change, "http://h"))
