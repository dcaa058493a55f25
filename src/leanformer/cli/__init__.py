"""The command line: one file a command.

Heavy imports stand inside the commands, so that `leanformer --help` answers at once.
"""

import os
import sys
from contextlib import suppress
from typing import NoReturn

import typer

from leanformer.cli.attend import attend
from leanformer.cli.attention import attention
from leanformer.cli.compare import compare
from leanformer.cli.compress import compress
from leanformer.cli.embed import embed
from leanformer.cli.index import index
from leanformer.cli.list import list_
from leanformer.cli.measure import measure
from leanformer.cli.predict import predict
from leanformer.cli.report import report
from leanformer.cli.run import run
from leanformer.cli.search import search
from leanformer.cli.serve import serve
from leanformer.cli.show import show
from leanformer.cli.stopping import Signals, stopped_by_signals
from leanformer.cli.train import train
from leanformer.core.machine.child import PassingFault
from leanformer.core.shown import one_line
from leanformer.core.storage.disk import DiskFull

_CTRL_C = 130  # typer's exit code for Ctrl-C
_LONGEST = 2000  # characters of a message

app = typer.Typer(
    name="leanformer",
    help="Make transformer NLP models small and fast, and prove it on the clock.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # what the user typed stands in messages, and may look like markup
)
app.command()(compress)
app.command()(run)
app.command()(train)
app.command()(predict)
app.command()(embed)
app.command()(index)
app.command()(search)
app.command()(serve)
app.command()(measure)
app.command()(report)
app.command()(compare)
app.command("list")(list_)
app.command()(show)
app.command()(attend)
app.add_typer(attention, name="attention")


def main() -> None:
    """Run the command line; errors of the user end in one line, not in a traceback."""
    # Threads that spin while they wait cost several times the work wherever a core is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    with stopped_by_signals() as signals:
        try:
            app(standalone_mode=True, obj=signals)
        except SystemExit as ended:
            if ended.code != _CTRL_C:
                raise
            _end(signals)
        except BaseException as error:
            if signals.came or isinstance(error, KeyboardInterrupt):
                _end(signals)  # whatever a library made of the interruption
            sys.exit(_told(error))


def _told(error: BaseException) -> int:
    """Say an error of the user in one line; the exit code. Any other one is raised again."""
    ours = isinstance(error, ImportError) and (error.name or "").startswith("leanformer")
    if ours or not isinstance(error, ValueError | OSError | ImportError | MemoryError):
        raise error
    said = f"the memory is full ({error})" if isinstance(error, MemoryError) else error
    typer.echo(f"leanformer: {one_line(said, _LONGEST)}", err=True)
    return 1 if isinstance(error, PassingFault | DiskFull) else 2


def _end(signals: Signals) -> NoReturn:
    signals.let_go()
    with suppress(OSError):  # the terminal may be gone
        if not signals.told:
            typer.echo("stopped; the same command goes on from here", err=True)
    sys.exit(signals.code)
