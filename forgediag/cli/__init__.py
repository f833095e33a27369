"""The command line: one module a command, imported only when it is called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

import click

from forgediag import __version__
from forgediag.config import Config, load
from forgediag.config.values import ConfigError

COMMANDS: Mapping[str, str] = {
    "run": "The daemon: poll, sample, check, recommend, export.",
    "demo": "The daemon against a simulated Forge and GPU: no hardware needed.",
    "doctor": "Every check once: what is wrong, why one can tell, what to do.",
    "plan": "What Forge's memory manager will do with a checkpoint, from its header alone.",
    "recommend": "The best memory settings, and why; --apply sets them in Forge.",
    "lint": "What Forge will refuse, drop or leave behind of an API payload.",
    "probe": "Whether Forge will load these files, and the exact error if not.",
    "explain": "Causes and fixes for Forge's console log or an API's error.",
    "profile": "Where a generation's time and memory go: recorded, by phase, as HTML.",
    "models": "The model files in Forge's folders: what they are, and how well.",
    "hash": "What model files are known by, and whether they are what they should be.",
    "lock": "Write down what each model file is, for verify.",
    "verify": "Are the model files what the lock file says? Finds silent corruption.",
    "options": "Forge's options: show, set with read-back, who changed what when, undo.",
    "assets": "Write dashboards and alerting rules.",
}


class Failure(click.ClickException):
    """A setting or argument that cannot be used, told in one line."""

    exit_code = 2

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Print the line to standard error."""
        click.echo(f"forgediag: {self.message}", err=True)


class NotDone(Failure):
    """What was asked for could not be done."""

    exit_code = 1


class NothingKnown(Failure):
    """Nothing could be examined."""

    exit_code = 3


class Commands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"forgediag.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list for --help, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options, turned into a Config when a command asks for it."""

    path: str | None
    flags: Mapping[str, str | None] = field(repr=False)

    def config(self, **flags: str | None) -> Config:
        """The configuration with a command's own flags on top.

        Raises:
            Failure: a setting cannot be used.
        """
        try:
            return load(self.path, os.environ, {**self.flags, **flags})
        except ConfigError as error:
            raise Failure(str(error)) from error


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="forgediag")
@click.option("--config", "path", metavar="FILE", help="TOML file with the settings.")
@click.option("--forge", metavar="URL", help="Forge's address. Default: http://127.0.0.1:7860, then :7861.")
@click.option("--forge-dir", metavar="DIR", help="Forge's install directory, when it is not found by itself.")
@click.option("--auth", metavar="USER:PASS", help="Forge's --api-auth; other users can see it here: use --auth-file.")
@click.option("--auth-file", metavar="FILE", help="A file whose first line is USER:PASS.")
@click.option("--gpu", metavar="GPU", help="Forge's GPU: NVML index, or UUID or its beginning.")
@click.option("--log", metavar="FILE", help="The file that Forge's console is written to, to follow its phases.")
@click.pass_context
def main(context: click.Context, /, path: str | None, **flags: str | None) -> None:
    """Diagnostics and memory profiling for Stable Diffusion WebUI Forge.

    Every option is also a FORGEDIAG_* variable and a key of the config file.
    """
    if flags["auth"]:
        click.echo("forgediag: --auth can be read by every user of this machine; --auth-file cannot", err=True)
    context.obj = Settings(path, flags)
