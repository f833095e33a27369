"""What a configuration's values must be beyond their types."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from forgediag.config.values import ConfigError

if TYPE_CHECKING:
    from forgediag.config import Config, TargetConfig

LABEL = re.compile("(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
TAKEN = ("target",)
"""Labels that the metrics have themselves."""


def checked(config: Config) -> Config:
    """The configuration as it is.

    Raises:
        ConfigError: a value is out of range, or contradicts another.
    """
    config.address()
    names = [target.name for target in config.targets]
    if len(set(names)) < len(names) or not all(names):
        raise ConfigError(f"the names of the forges are not distinct: {', '.join(names)}; give each its own name")
    if "other" in names:
        raise ConfigError("a forge cannot be called 'other', which in metrics means the processes of others; rename it")
    for target in config.targets:
        _check_target(target)
    if not 1 <= config.probes_at_once <= 10_000:
        raise ConfigError(f"probes_at_once is {config.probes_at_once}; it must lie between 1 and 10000")
    for section in (config.pace, config.sampling, config.verification, config.notice):
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
