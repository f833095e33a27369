"""Does Forge's Python environment hold what Forge was written for?"""

from __future__ import annotations

from collections.abc import Iterator

from forgediag.check import Problem, check
from forgediag.forge.pins import broken, numbers
from forgediag.forge.selection import base_name
from forgediag.model import Files, Gap, Install, Options, Severity, Target

_IN_VENV = "Run it with the Python of Forge's venv (venv/bin/python, venv\\Scripts\\python.exe), with Forge stopped."


@check(
    "python-packages",
    title="Forge's Python packages fit",
    why=(
        "An extension's pip install, or a fresh install years after the release, replaces packages Forge pins; it then"
        " ends at its start or at the first generation with an error that names something else."
    ),
    severity=Severity.FAILURE,
    fix=("Delete Forge's venv folder and start Forge: it builds the environment anew from its own pins.",),
)
def python_packages(install: Install) -> Iterator[Problem]:
    """pkg_resources, packages whose newer versions are known to break Forge, and code built for another torch."""
    setuptools = install.packages.get("setuptools")
    if setuptools is not None and numbers(setuptools) >= (81,) and "pkg_resources" not in install.modules:
        yield Problem(
            "setuptools",
            f"setuptools {setuptools} has no pkg_resources any more: Forge and its built-in ControlNet end at their"
            " start with \"No module named 'pkg_resources'\"",
            {"setuptools": setuptools, "pinned": install.pins.get("setuptools")},
            fix=('python -m pip install "setuptools<81"', _IN_VENV),
        )
    for item, pinned, found in broken(install.pins, install.packages):
        yield Problem(
            item.name,
            f"{item.name} {found} is installed, Forge asks for {pinned}: {item.says}",
            {"installed": found, "pinned": pinned, "source": item.source},
            fix=(f"python -m pip install {item.name}=={pinned}", _IN_VENV),
        )
    torch = install.packages.get("torch")
    for name, wanted in install.wants_torch.items():
        if torch is not None and numbers(wanted) != numbers(torch):
            yield Problem(
                name,
                f"{name} {install.packages.get(name, '?')} is built for torch {wanted}, but torch {torch} is installed:"
                " its compiled code does not load, or ends Forge",
                {"built_for": wanted, "torch": torch},
                Severity.WARNING if name == "torchaudio" else Severity.FAILURE,
                (f"Uninstall {name}, or install the one made for torch {torch}: {_where(name)}.", _IN_VENV),
            )


def _where(name: str) -> str:
    return "Forge runs without it" if name == "xformers" else "from the same index as torch"


OLDEST, NEWEST = (3, 10), (3, 11)
"""Python versions Forge accepts on Linux and that its pins have wheels for (Forge dfdcbab, modules/launch_utils.py)."""


@check(
    "python-version",
    title="Forge runs with a Python it knows",
    why="Forge is made for Python 3.10; its pins have no wheels for 3.12 and newer, so pip compiles or gives up.",
    severity=Severity.WARNING,
    fix=("Install Python 3.10, delete Forge's venv folder and start Forge with it (PYTHON in webui-user).",),
)
def python_version(install: Install, target: Target) -> Iterator[Problem]:
    """The venv's Python. Forks bring newer pins, so only Forge itself is judged; one that runs is past the worst."""
    forge = target.forge
    if not isinstance(forge, Gap) and forge.fork != "forge":
        return
    if install.python is not None and not OLDEST <= install.python <= NEWEST and install.pins:
        shown = ".".join(map(str, install.python))
        yield Problem("Python", f"Forge's venv has Python {shown}; Forge is made for 3.10", {"python": shown})


BITSANDBYTES = "0.45.3"
"""What Forge installs by itself at its start (Forge dfdcbab, modules_forge/bnb_installer.py)."""


@check(
    "bitsandbytes",
    title="nf4 models have bitsandbytes",
    why="Files in nf4 or fp4, and the storage types bnb-nf4 and bnb-fp4, are read by bitsandbytes alone.",
    severity=Severity.FAILURE,
    fix=(
        f"python -m pip install bitsandbytes=={BITSANDBYTES}, with the Python of Forge's venv and Forge stopped.",
        "Or select an fp8 or GGUF file of the same model.",
    ),
)
def bitsandbytes(install: Install, options: Options, files: Files) -> Iterator[Problem]:
    """Only where something selected needs it."""
    wanted = [base_name(file.path) for file in files.selected if "bitsandbytes" in file.traits]
    storage = options.text("forge_unet_storage_dtype") or ""
    if storage.startswith("bnb"):
        wanted.append(f"forge_unet_storage_dtype {storage}")
    if not wanted or not install.packages or "bitsandbytes" in install.packages:
        return
    yield Problem(
        wanted[0],
        f"{' and '.join(wanted)} needs bitsandbytes, which is not in Forge's venv: \"No module named 'bitsandbytes'\"",
        {"needed_by": wanted},
    )
