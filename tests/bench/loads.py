"""Predictions beside a real Forge: every file is made here, predicted from its header, then loaded by Forge.

    python tests/bench/loads.py --models DIR --make
    python launch.py --api --models-dir DIR --ui-settings-file DIR/config.json --no-hashing > console.log 2>&1 &
    python tests/bench/loads.py --models DIR --forge URL [--console console.log] [--only KEY,...]

Prints the table as Markdown. The Forge must be one that nobody else uses: its selection changes with every row, and
files are renamed, deleted and made anew below DIR. Weights are zero but for three files: sizes on the disk are small.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from loads_files import CASES, Case, make, module_path, remake

from forgediag.actions.picture import look
from forgediag.actions.tiny import REQUEST, STUCK
from forgediag.forge.loading import File, predict
from forgediag.forge.loading.reading import missing
from forgediag.model import Gap, Prediction
from forgediag.sources.files import read_header

PRINTED = ("StateDict Keys", "Integrated", "CLIPTextModel", "T5EncoderModel ", "MMDiTX ")
CURES = (("good.safetensors", ("vae-4",)), ("good.safetensors", ()))
"""Selections that load: one of them is not the one Forge is stuck on after a failed load."""


@dataclass(frozen=True)
class Answer:
    """What a real Forge said: the API's type and message ("" for a picture), the picture, its console."""

    status: int
    type: str = ""
    message: str = ""
    picture: str = ""
    console: str = ""


class Forge:
    """A Forge that takes orders."""

    def __init__(self, url: str, models: Path, console: Path | None) -> None:
        self._client = httpx.Client(base_url=f"{url}/sdapi/v1/", timeout=900)
        self._models = models
        self._console = console

    def select(self, checkpoint: str, modules: Sequence[str]) -> None:
        """Select files by their names."""
        paths = [str(module_path(self._models, name)) for name in modules]
        body = {"sd_model_checkpoint": checkpoint, "forge_additional_modules": paths}
        # the same modules in another order are no change for Forge: it keeps the order it has
        self._client.post("options", json={"forge_additional_modules": []}).raise_for_status()
        self._client.post("options", json=body).raise_for_status()

    def picture(self) -> Answer:
        """Ask for one, with what is selected."""
        before = self._console.stat().st_size if self._console else 0
        got = self._client.post("txt2img", json={**REQUEST, "sampler_name": "Euler"})
        time.sleep(0.3 if self._console else 0)
        said = self._console.read_bytes()[before:].decode(errors="replace") if self._console else ""
        body: dict[str, Any] = got.json()
        if got.status_code != 200:
            return Answer(got.status_code, str(body.get("error")), str(body.get("message")), console=said)
        import base64  # noqa: PLC0415 - a picture is the exception here

        seen = look(base64.b64decode(body["images"][0]))
        return Answer(200, picture="black" if seen.black else "grey" if seen.one_colour else "seen", console=said)

    def load(self, checkpoint: str, modules: Sequence[str]) -> Answer:
        """A picture with these files, from a Forge that had loaded others before."""
        self.select(checkpoint, modules)
        answer = self.picture()
        for cure in CURES:
            if answer.message != STUCK:
                break
            self.select(*cure)
            self.picture()
            self.select(checkpoint, modules)
            answer = self.picture()
        return answer


def opened(path: Path) -> File:
    """A file as forgediag sees it."""
    return File(str(path), read_header(str(path)) if path.exists() else missing(str(path)))


def row(case: Case, models: Path, forge: Forge) -> dict[str, Any]:
    """Prediction first, then the answer."""
    remake(models, case)
    checkpoint = models / "Stable-diffusion" / case.checkpoint
    modules = [module_path(models, name) for name in case.modules]
    if case.deleted:
        forge.load(case.checkpoint, ())
        for path in (checkpoint, *modules):
            if path.stem == case.deleted:
                path.unlink()
    started = time.perf_counter()
    made = predict(opened(checkpoint), [opened(path) for path in modules])
    took = time.perf_counter() - started
    return compared(case, made, forge.load(case.checkpoint, case.modules), took, (checkpoint, *modules))


def compared(case: Case, made: Prediction | Gap, answer: Answer, took: float, paths: Sequence[Path]) -> dict[str, Any]:
    """One row."""
    told = {"key": case.key, "checkpoint": case.checkpoint, "modules": case.modules, "ms": took * 1000}
    told |= {"status": answer.status, "answer": [answer.type, answer.message], "picture": answer.picture}
    if isinstance(made, Gap):
        return {**told, "predicted": f"not known: {made.reason}", "same": False, "whole": False}
    error = made.error
    predicted = [error.type, error.message] if error else ["", ""]
    # a part without some of its Linear weights loads, and fails in the first step
    later = not error and "Model loaded in" in answer.console and any("fails when" in gap for gap in made.gaps)
    told |= {"later": later}
    same = predicted == told["answer"] or later
    renamed = [str(path) for path in paths if Path(f"{path}.corrupted").exists()]
    lines = [line for line in answer.console.splitlines() if line.startswith(PRINTED)]
    mine = [line for line in made.printed if line.startswith(PRINTED)]
    cause = not error or not error.cause or error.cause in answer.console
    whole = same and list(made.renamed) == renamed and (not answer.console or (lines == mine and cause))
    differs = {"printed": [mine, lines], "renamed": [list(made.renamed), renamed], "cause": error and error.cause}
    return {**told, "predicted": predicted, "same": same, "whole": whole, "differs": None if whole else differs}


def line(told: dict[str, Any]) -> str:
    """A row of the table."""
    predicted = told["predicted"]
    words = (
        predicted
        if isinstance(predicted, str)
        else _said(*predicted, "loads, fails in use" if told.get("later") else "loads")
    )
    answered = f"{told['status']} {_said(*told['answer'], told['picture'])}"
    equal = "yes" if told["whole"] else "type and message" if told["same"] else "NO"
    modules = ", ".join(told["modules"])
    return f"| {told['key']} | {told['checkpoint']} | {modules} | {words} | {answered} | {told['ms']:.1f} | {equal} |"


def _said(kind: str, message: str, nothing: str) -> str:
    return f"{kind}: {message.partition(chr(10))[0]}" if kind else nothing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--forge")
    parser.add_argument("--console", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--details", type=Path, help="where the rows go as JSON, with what differs")
    given = parser.parse_args()
    if given.make:
        sys.exit(make(given.models))
    forge = Forge(given.forge.rstrip("/"), given.models, given.console)
    rows: list[dict[str, Any]] = []
    print("| case | checkpoint | modules | predicted | Forge answered | ms | equal |\n|---|---|---|---|---|---|---|")
    for case in CASES:
        if not given.only or case.key in given.only.split(","):
            rows.append(row(case, given.models, forge))
            print(line(rows[-1]), flush=True)
    forge.select("good.safetensors", ())
    same, whole = (sum(bool(told[key]) for told in rows) for key in ("same", "whole"))
    print(f"\n{len(rows)} rows: type and message equal in {same}, every line, cause and renamed file too in {whole}")
    if given.details:
        given.details.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
