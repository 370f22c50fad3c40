"""The command group. A command's module is imported when the command is used.

The commands print tables, or JSON lines with `--json`. Errors go to standard error; the exit code
is 0 for success, 1 if the store reports an error, 2 for a usage error.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from click.shell_completion import get_completion_class

_COMMANDS = {
    "info": ("info", "Show how much the store at URL contains."),
    "events": ("events", "Show events of the store at URL, oldest first."),
    "prune": ("events", "Remove old events of the store at URL."),
    "consumers": (
        "consumers",
        "Show the consumers of the store at URL, by name, and how many events each is behind.",
    ),
    "runs": ("runs", "Show the runs of the store at URL, oldest first."),
    "run": ("runs", "Show one run of the store at URL; the first digits of RUN_ID are enough."),
    "claims": (
        "runs",
        "Show the claims in the store at URL, by name, or release one of them.",
    ),
    "specs": ("definitions", "Show the specs of the store at URL, by mob."),
    "profiles": ("definitions", "Show the realm profiles of the store at URL, by name."),
    "verify": ("verify", "Check the store at URL for corruption."),
    "diff": (
        "diff",
        "Show the differences between two stores. FIRST and SECOND are URLs or exports.",
    ),
    "copy": ("transfer", "Copy the store at URL, all or nothing."),
    "export": ("transfer", "Export the store at URL to FILE."),
    "import": ("transfer", "Import FILE into an empty or new store at URL, all or nothing."),
}
"""The module of each command, and the first sentence of its help."""


class DeferredCommand(click.Command):
    """A command whose module is imported when it is used.

    Without the imports, `mobstore --help` takes a third of the time.
    """

    def __init__(self, name: str, module: str, summary: str) -> None:
        """Describe the command `name` of a module of this package."""
        super().__init__(name, help=summary)
        self._module = module

    def command(self) -> click.Command:
        """Import the command."""
        commands: tuple[click.Command, ...] = import_module(
            f"{__package__}.{self._module}"
        ).COMMANDS
        return next(command for command in commands if command.name == self.name)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return a context of the command itself, which click then runs or completes."""
        return self.command().make_context(info_name, args, parent, **extra)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mobstore")
def cli() -> None:
    """Inspect, move and check mob stores.

    A URL is sqlite:PATH, such as sqlite:mobs.db, or postgresql://USER@HOST:PORT/DBNAME?schema=NAME.
    Leave passwords to ~/.pgpass or PGPASSWORD: other users of this machine can read arguments.
    """


for _name, (_module, _summary) in _COMMANDS.items():
    cli.add_command(DeferredCommand(_name, _module, _summary))


@cli.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    Example: mobstore completion bash >> ~/.bashrc
    """
    complete = get_completion_class(shell)
    assert complete is not None  # noqa: S101 - click supports each of these
    click.echo(complete(cli, {}, "mobstore", "_MOBSTORE_COMPLETE").source())
