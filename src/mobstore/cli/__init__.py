"""The command line, `mobstore`: look into stores, bring databases in.

commands.py  the commands, their options and their exit codes
transfer.py  those that move whole stores
verify.py    the command that looks for damage
diff.py      the command that compares two stores
decorators.py  arguments, options and how a command runs
stores.py    the stores that a command works on
progress.py  progress bars
signals.py   how they run, and how signals end them
output.py    standard output and error: encodings, JSON lines
display.py   results for people
table.py     their tables, as wide as the terminal
timeline.py  the steps of a run over time
"""

from __future__ import annotations

import sys
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells count it."""


def main() -> None:
    """Run the command line; exit code 0 is success, 1 a refusal, 2 a wrong call."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> NoReturn:
    try:
        import click

        from mobstore.cli import output
        from mobstore.cli.commands import cli
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit("mobstore: the command line needs its extra; pip install 'mobstore[cli]'")
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.exit("Error: standard output is closed")
    try:
        output.configure()
        try:
            code = cli.main(prog_name="mobstore", standalone_mode=False)
        finally:
            sys.stdout.flush()  # now, while there are words for a failure
    except click.ClickException as error:
        output.show(error)
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    except BrokenPipeError as error:
        output.refused(error)  # whoever read it has seen enough
        code = 1
    except OSError as error:
        output.show(click.ClickException(output.refused(error)))
        code = 1
    except MemoryError:
        output.show(click.ClickException("there is not enough memory for what is to be shown"))
        code = 1
    sys.exit(code)
