"""The configuration: defaults < TOML file < FORGEDIAG_* variables < flags, each value checked once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from forgediag.config.values import ConfigError, converted, is_list, is_mapping

DEFAULT_URLS = ("http://127.0.0.1:7860", "http://127.0.0.1:7861")
"""Where Forge listens by default: with the web UI, and API-only (`--nowebui`)."""


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds between two reads of each source; the `busy` ones apply while a job runs.

    A generation shorter than `progress` is not missed: the next answer still tells how it ended.
    """

    progress: float = 2.0
    progress_busy: float = 0.25
    memory: float = 10.0
    memory_busy: float = 2.0
    options: float = 10.0
    models: float = 60.0
    flags: float = 300.0
    host: float = 5.0
    files: float = 60.0
    tick: float = 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often NVML memory is read, in hertz, and the peak windows kept, in seconds."""

    idle_hz: float = 1.0
    busy_hz: float = 100.0
    windows: tuple[int, ...] = (15, 60, 300)


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """How much is remembered on disk: days (0 remembers nothing) and megabytes."""

    days: float = 90.0
    megabytes: int = 20


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One Forge. `url` None tries the two default addresses. `auth_file` holds USER:PASS in its first line.

    `labels` are what service discovery tells Prometheus of it. Its console is followed from a file (`log`), a systemd unit's journal or a command's output, where one is named.
    """

    name: str = "forge"
    url: str | None = None
    auth: str | None = field(default=None, repr=False)
    auth_file: str | None = None
    directory: str | None = None
    gpu: str | None = None
    timeout: float = 4.0
    log: str | None = None
    log_unit: str | None = None
    log_command: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def credentials(self) -> tuple[str, str] | None:
        """User and password, the file before the value.

        Raises:
            ConfigError: the file cannot be read, or there is no colon in it.
        """
        text = self.auth
        if self.auth_file is not None:
            try:
                text = Path(self.auth_file).read_text("utf-8").splitlines()[0]
            except (OSError, UnicodeDecodeError, IndexError) as error:
                raise ConfigError(f"auth_file {self.auth_file} of {self.name} cannot be read: {error}") from error
        if text is None:
            return None
        user, colon, password = text.strip().partition(":")
        if not colon:
            raise ConfigError(f"auth of {self.name} is not USER:PASS: it has no colon")
        return user, password


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the daemon and the commands need to know."""

    listen: str = "127.0.0.1:9836"
    web_config: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    probes_at_once: int = 128
    state_dir: str | None = None
    log_level: str = "info"
    hash_models: bool = True
    targets: tuple[TargetConfig, ...] = (TargetConfig(),)
    pace: Paces = Paces()
    sampling: Sampling = Sampling()
    history: HistoryConfig = HistoryConfig()

    def address(self) -> tuple[str, int]:
        """`listen` as host and port.

        Raises:
            ConfigError: it is not HOST:PORT.
        """
        host, colon, port = self.listen.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise ConfigError(f"listen is {self.listen!r}, not HOST:PORT (for example 127.0.0.1:9836)")
        return host.strip("[]"), int(port)


LABEL = re.compile("(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
TAKEN = ("target",)
"""Labels that the metrics have themselves."""

T = TypeVar("T")

SECTIONS: Mapping[str, type] = {"pace": Paces, "sampling": Sampling, "history": HistoryConfig}
TARGET_FLAGS = {
    "forge": "url",
    "forge_dir": "directory",
    "auth": "auth",
    "auth_file": "auth_file",
    "gpu": "gpu",
    "timeout": "timeout",
    "log": "log",
}
"""Command-line and FORGEDIAG_* names that set a field of the first target."""


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, str | None]) -> Config:
    """The configuration from a file, the environment and the command line.

    Args:
        path: a TOML file, or None; then FORGEDIAG_CONFIG names it, if set.
        environ: os.environ or a part of it.
        flags: command-line options by name; None means not given.

    Raises:
        ConfigError: a file that cannot be read, an unknown key, a value of a wrong type or out of range.
    """
    path = path or environ.get("FORGEDIAG_CONFIG") or None
    config = _from_document(_read(path), path or "") if path else Config()
    config = _override(config, {name: environ.get(_variable(name)) for name in _overridable()}, _variable)
    config = _override(config, flags, lambda name: "--" + name.replace("_", "-"))
    return _checked(config)


def _variable(name: str) -> str:
    return f"FORGEDIAG_{name.upper()}"


def _read(path: str) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - only with a config file
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"config file {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} is not TOML: {error}") from error


def _from_document(document: Mapping[str, Any], path: str) -> Config:
    values = dict(document)
    file = f"config file {path}"
    for section, kind in SECTIONS.items():
        values[section] = _fill(kind, values.get(section, {}), f"{file}: [{section}]")
    rows = values.pop("forge", [{}])
    if not is_list(rows):
        raise ConfigError(f"{file}: write each Forge as a [[forge]] table, with two brackets")
    values["targets"] = tuple(_fill(TargetConfig, row, f"{file}: [[forge]]") for row in rows)
    return _fill(Config, values, file)


def _fill(kind: type[T], values: object, where: str) -> T:
    """A dataclass from a TOML table; keys it does not have are refused with those it has."""
    if not is_mapping(values):
        raise ConfigError(f"{where} is not a table")
    annotations = {item.name: str(item.type) for item in fields(cast("Any", kind))}
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in annotations:
            known = sorted({*annotations, "forge"} - {"targets"}) if kind is Config else sorted(annotations)
            raise ConfigError(f"{where}: unknown key {key!r}; known keys: {', '.join(known)}")
        arguments[key] = converted(annotations[key], value, f"{where}: {key}")
    return kind(**arguments)


def _overridable() -> list[str]:
    plain = [item.name for item in fields(Config) if item.name not in {"targets", *SECTIONS}]
    inner = [f"{section}_{item.name}" for section, kind in SECTIONS.items() for item in fields(cast("Any", kind))]
    return [*plain, *inner, *TARGET_FLAGS]


def _override(config: Config, values: Mapping[str, str | None], label: Callable[[str], str]) -> Config:
    for name, value in values.items():
        section, _, rest = name.partition("_")
        if value is None:
            continue
        if name in TARGET_FLAGS:
            base = config.targets[0] if config.targets else TargetConfig()
            first = _with(base, TARGET_FLAGS[name], value, label(name))
            config = replace(config, targets=(first, *config.targets[1:]))
        elif section in SECTIONS:
            config = replace(config, **{section: _with(getattr(config, section), rest, value, label(name))})
        else:
            config = _with(config, name, value, label(name))
    return config


def _with(item: T, key: str, value: str, label: str) -> T:
    annotation = next(str(entry.type) for entry in fields(cast("Any", item)) if entry.name == key)
    return cast("T", replace(cast("Any", item), **{key: converted(annotation, value, label)}))


def _checked(config: Config) -> Config:
    config.address()
    names = [target.name for target in config.targets]
    if len(set(names)) < len(names) or not all(names):
        raise ConfigError(f"the names of the forges are not distinct: {', '.join(names)}; give each its own name")
    for target in config.targets:
        _check_target(target)
    if not 1 <= config.probes_at_once <= 10_000:
        raise ConfigError(f"probes_at_once is {config.probes_at_once}; it must lie between 1 and 10000")
    for section in (config.pace, config.sampling):
        for item in fields(section):
            value = getattr(section, item.name)
            if isinstance(value, float) and not 0.001 <= value <= 86400:
                raise ConfigError(f"{item.name} is {value:g}; it must lie between 0.001 and 86400")
    if config.history.days < 0 or not 1 <= config.history.megabytes <= 10_000:
        raise ConfigError("[history] keeps 0 or more days, and between 1 and 10000 megabytes")
    if not config.sampling.windows or not all(1 <= window <= 86400 for window in config.sampling.windows):
        raise ConfigError(f"windows is {list(config.sampling.windows)}; each must lie between 1 and 86400 seconds")
    if config.log_level.lower() not in {"debug", "info", "warning", "error"}:
        raise ConfigError(f"log_level is {config.log_level!r}; known levels: debug, info, warning, error")
    return config


def _check_target(target: TargetConfig) -> None:
    if target.url is not None and "@" in target.url:
        raise ConfigError(f"the url of {target.name} has a password in it, which would show; put it into auth_file")
    if target.url is not None:
        try:
            parts = urlsplit(target.url)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good:
            raise ConfigError(f"{target.url!r} is no URL of a Forge; write it like http://127.0.0.1:7860")
    if not 0.1 <= target.timeout <= 600:
        raise ConfigError(f"timeout of {target.name} is {target.timeout:g}; it must lie between 0.1 and 600 seconds")
    for label in target.labels:
        if not LABEL.fullmatch(label) or label in TAKEN:
            raise ConfigError(
                f"label {label!r} of {target.name} cannot be used; write letters, digits and _, not {TAKEN}"
            )
    target.credentials()


def state_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Where caches are kept: `state_dir`, else the platform's place for a user's cache."""
    if config.state_dir:
        return Path(config.state_dir)
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "forgediag"
