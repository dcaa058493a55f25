"""Signals that stop a command, as Ctrl-C does: what was begun is put in order, then it ends.

    signal     exit code
    SIGINT     130    Ctrl-C
    SIGTERM    143    `kill`, `docker stop`, the end of a job's time
    SIGHUP     129    the terminal was closed; not under `nohup`

A signal raises `KeyboardInterrupt` where the program is, so that temporary files are removed and
child processes are ended on the way out. A training stops within its step: its last checkpoint is
at most `checkpoint_seconds` old, and half a step is never written. Within `Signals.patience` the
first signal is only noted, so that a step can be ended and saved. A second signal interrupts the
putting in order, and does no harm: the next run does it. Ranks stay patient: Slurm signals every
process of a job and `torchrun` passes its own signal on, so that two of them are one wish.
"""

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from leanformer.core.ranks import is_rank

_CODE = 128  # exit codes of signals begin here
_SA_ONSTACK = 0x08000000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Action(ctypes.Structure):
    """C's `struct sigaction`, as Linux' libraries lay it out."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_byte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


def _on_the_threads_stack(number: int) -> None:
    """Let a signal be handled on the stack of its thread, not on an alternative one.

    Python asks for the alternative one, which OpenVINO sets up (a small one) and takes away when
    its CPU plugin is unloaded: from then on the kernel ends the process at each signal, by SIGSEGV.
    """
    if sys.platform == "linux":
        action, libc = _Action(), ctypes.CDLL(None)
        libc.sigaction(number, None, ctypes.byref(action))
        action.flags &= ~_SA_ONSTACK
        libc.sigaction(number, ctypes.byref(action), None)


class Stopped(KeyboardInterrupt):
    """A signal asks the command to stop."""


class Signals:
    """The signals that a command heeds.

    Attributes:
        came: Those that came, in order.
        told: Whether the command has said itself that it stopped.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        self.told = False
        self._patient = False
        self.before: dict[int, Any] = {}

    @property
    def code(self) -> int:
        """The exit code of the first signal that came; before there was one, that of Ctrl-C."""
        return _CODE + (self.came[0] if self.came else signal.SIGINT)

    def heed(self) -> None:
        """Let signals raise `Stopped`; one that is ignored or handled already stays so."""
        for one in _SIGNALS:
            if signal.getsignal(one) in (signal.SIG_DFL, signal.default_int_handler):
                self._set(one, self._stop)

    @contextmanager
    def patience(self) -> Iterator[Callable[[], bool]]:
        """Within it the first signal does not raise, and none does in a rank, which `torchrun` ends
        after its grace period; the value says whether one came.
        """
        self._patient = True
        try:
            yield lambda: bool(self.came)
        finally:
            self._patient = False

    def let_go(self) -> None:
        """Let the next signal end the process at once, with nothing said."""
        for one in list(self.before):
            self._set(one, signal.SIG_DFL)

    def restore(self) -> None:
        """Handle all signals as before."""
        for one, handler in self.before.items():
            signal.signal(one, handler)

    def _set(self, one: int, handler: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # others may not
            former = signal.signal(one, handler)
            _on_the_threads_stack(one)
            self.before.setdefault(one, former)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.came.append(number)
        if not self._patient or (len(self.came) > 1 and not is_rank()):
            raise Stopped


@contextmanager
def stopped_by_signals() -> Iterator[Signals]:
    """Within the block, SIGINT, SIGTERM and SIGHUP raise `Stopped` in the main thread."""
    signals = Signals()
    signals.heed()
    try:
        yield signals
    finally:
        signals.restore()
