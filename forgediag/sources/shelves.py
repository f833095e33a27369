"""Which folders a Forge on this machine looks for models in: asked of it, of its process, of its start script."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from forgediag.forge.folders import Arguments, Folder, folders, from_flags, start_flags
from forgediag.forge.folders import arguments as folder_flags
from forgediag.model import Flags, Forge, Gap, Known, Process
from forgediag.sources.paths import local_path

_LARGEST = 1024 * 1024


def forge_folders(
    directory: str, forge: Known[Forge], process: Known[Process], prefixes: Mapping[str, str]
) -> tuple[Folder, ...]:
    """The folders of one Forge, absolute, whether or not they exist.

    Its own answer about its flags counts first, then its process's command line, then webui-user.bat or .sh.

    Args:
        directory: where it is installed, on this machine.
        forge: as it answers.
        process: as it runs here.
        prefixes: its paths to ours, where it runs in a container.
    """
    flags: Known[Flags] = forge.flags if isinstance(forge, Forge) else forge
    if isinstance(flags, Flags):
        given = from_flags(flags.values)
    elif isinstance(process, Process):
        given = process.folder_flags
    else:
        given = _script_flags(Path(directory))
    return tuple(
        Folder(folder.role, os.path.abspath(local_path(folder.path, prefixes)), folder.flag)  # noqa: PTH100
        for folder in folders(directory, given)
    )


def places(path: str) -> tuple[Folder, ...]:
    """What a path given by a person stands for: a Forge or its models folder by their own rules, else itself."""
    root = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
    if (root / "modules_forge").is_dir():
        return forge_folders(str(root), Gap("not asked"), Gap("not looked for"), {})
    if (root / "Stable-diffusion").is_dir():
        return folders(str(root.parent), {"models_dir": (str(root),)})
    inside = [*root.parents, root]
    for parent in reversed(inside):
        if (parent / "Stable-diffusion").is_dir():
            known = folders(str(parent.parent), {"models_dir": (str(parent),)})
            for folder in known:
                if str(root) == folder.path or str(root).startswith(folder.path + os.sep):
                    return (Folder(folder.role, str(root), folder.flag),)
    return (Folder("other", str(root)),)


def _script_flags(directory: Path) -> Arguments:
    for name, windows in (("webui-user.bat", True), ("webui-user.sh", False)):
        if windows is not (os.name == "nt"):
            continue
        try:
            text = (directory / name).read_bytes()[:_LARGEST].decode("utf-8", "replace")
        except OSError:
            continue
        return folder_flags(start_flags(text, windows=windows))
    return {}
