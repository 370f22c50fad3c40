"""The command line, `mobstore`: look into stores, move them, check them.

commands.py    the command group, and completion
info.py        show how much a store contains
definitions.py show specs and profiles
events.py      show events, and remove old ones
runs.py        show runs and claims, and release a claim
consumers.py   show consumers, and forget one
transfer.py    copy, export and import
verify.py      check a store for corruption
diff.py        compare two stores
decorators.py  arguments, options and how a command runs
advice.py      checks of arguments that name the command to type instead
durations.py   options that name a time
stores.py      open the stores that a command works on
signals.py     SIGTERM and SIGHUP
output.py      standard output and error: encodings, JSON lines
readers.py     end when the reader of standard output exits
console.py     the console for results, and the cells of their tables
display.py     results as tables and text
table.py       a table as wide as the terminal
timeline.py    the steps of a run over time
progress.py    progress bars
"""

from __future__ import annotations

import sys
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of the signal."""


def main() -> None:
    """Run the command line and exit: 0 success, 1 the store reports an error, 2 a usage error."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit("mobstore: the command line needs an extra; run pip install 'mobstore[cli]'")


def _run() -> NoReturn:
    import click

    from mobstore.cli import output
    from mobstore.cli.commands import cli

    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.exit("Error: standard output is closed")
    try:
        output.configure()
        try:
            code = cli.main(prog_name="mobstore", standalone_mode=False)
        finally:
            sys.stdout.flush()  # here, where an error still gets a message
    except click.ClickException as error:
        output.show_error(error)
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    except BrokenPipeError as error:
        output.describe_os_error(error)  # the reader needs no more, and no message
        code = 1
    except OSError as error:
        output.show_error(click.ClickException(output.describe_os_error(error)))
        code = 1
    except MemoryError:
        output.show_error(click.ClickException("out of memory while printing the result"))
        code = 1
    sys.exit(code)
