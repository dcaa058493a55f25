"""The command line: one file a command.

Heavy imports stand inside the commands, so that `leanformer --help` answers at once.
"""

import os
import sys

import typer

from leanformer.cli.attend import attend
from leanformer.cli.attention import attention
from leanformer.cli.compare import compare
from leanformer.cli.compress import compress
from leanformer.cli.list import list_
from leanformer.cli.measure import measure
from leanformer.cli.predict import predict
from leanformer.cli.report import report
from leanformer.cli.run import run
from leanformer.cli.show import show
from leanformer.core.machine.child import PassingFault
from leanformer.core.shown import one_line

_STOPPED = 130  # typer's exit code for Ctrl-C
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
app.command()(predict)
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
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        if ended.code == _STOPPED:
            typer.echo("stopped; the same command goes on from here", err=True)
        raise
    except PassingFault as error:
        typer.echo(f"leanformer: {one_line(error, _LONGEST)}", err=True)
        sys.exit(1)
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, ImportError) and (error.name or "").startswith("leanformer"):
            raise  # a fault of ours, not of the user
        typer.echo(f"leanformer: {one_line(error, _LONGEST)}", err=True)
        sys.exit(2)
    except MemoryError as error:
        typer.echo(f"leanformer: the memory is full ({one_line(error)})", err=True)
        sys.exit(1)
