"""Several ranks on one machine, for tests.

    on_ranks(4, function, argument)      function(argument) in 4 processes that form one group

Ranks are forked from a server that has torch and transformers loaded already, so that they start in
tenths of a second; each has one thread and meets the others over the loopback device (gloo).
"""

import faulthandler
import multiprocessing
import os
import pickle
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import forkserver  # type: ignore[attr-defined]
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore

_PRELOADED = (
    "torch",
    "torch.distributed.fsdp",
    "torch.distributed.checkpoint",
    "torch.distributed.checkpoint.hf_storage",
    "torch.nn.parallel",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "leanformer.train.loop",
)
_MET = "leanformer-ranks"  # the file by which the ranks of a test meet
_GRACE = 2.0  # seconds in which a rank that was ended says where it was


class RankFailed(RuntimeError):
    """A rank raised, died, or did not come to an end; the message says which rank, and where."""


def on_ranks(
    count: int, function: Callable[..., Any], *args: Any, seconds: float = 60.0
) -> list[Any]:
    """Call `function` in processes that form one group.

    Args:
        count: How many ranks.
        function: What each of them calls; importable, since it travels by its name.
        args: Its arguments, which are pickled; all ranks get the same.
        seconds: How long all of it may take, and a single collective.

    Returns:
        What it returned in each rank, in the order of ranks.

    Raises:
        RankFailed: A rank raised (the message has its traceback), was killed, or was still running
            after `seconds` (the message says where). The others have been ended then.
    """
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        ranks = []
        for rank in range(count):
            ours, theirs = server.Pipe(duplex=False)
            call = (rank, count, folder, seconds, theirs, pickle.dumps((function, args)))
            process = server.Process(target=_rank, args=call, daemon=True)
            process.start()
            theirs.close()
            ranks.append((process, ours))
        try:
            return _collect(ranks, Path(folder), time.monotonic() + seconds, seconds)
        finally:
            for process, ours in ranks:
                process.kill()
                process.join()
                ours.close()


def _server() -> Any:
    """The server that ranks are forked from: begun once, with one thread and modules loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    with _environment(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo"):
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _rank(
    rank: int,
    count: int,
    folder: str,
    seconds: float,
    answer: Connection,
    call: bytes,
) -> None:
    """One rank: join, call, answer. What is sent has arrived before the process ends."""
    where = (Path(folder) / f"where-{rank}").open("w")
    faulthandler.register(signal.SIGUSR1, file=where, all_threads=False)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    try:
        store = FileStore(str(Path(folder) / _MET), count)
        limit = timedelta(seconds=seconds)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=limit)
        function, args = pickle.loads(call)
        found = pickle.dumps((True, function(*args)))
        dist.barrier()
    except BaseException:
        found = pickle.dumps((False, traceback.format_exc()))
    answer.send_bytes(found)
    answer.close()
    os._exit(0)  # no thread of gloo may hold the process up


def _collect(ranks: list[Any], folder: Path, deadline: float, seconds: float) -> list[Any]:
    """What each rank answered."""
    found: dict[int, Any] = {}
    while len(found) < len(ranks):
        left = {rank: pair for rank, pair in enumerate(ranks) if rank not in found}
        ready = wait([ours for _, ours in left.values()], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise RankFailed(_running(left, folder, seconds))
        for rank, (process, ours) in left.items():
            if ours not in ready:
                continue
            try:
                good, value = pickle.loads(ours.recv_bytes())
            except EOFError:
                process.join()
                raise RankFailed(f"rank {rank} of {len(ranks)} {_end(process.exitcode)}") from None
            if not good:
                raise RankFailed(_dead(left) or f"rank {rank} of {len(ranks)} raised\n\n{value}")
            found[rank] = value
    return [found[rank] for rank in range(len(ranks))]


def _dead(ranks: dict[int, Any]) -> str:
    """A rank that was killed, which made others raise; "" where there is none."""
    for rank, (process, _) in ranks.items():
        process.join(_GRACE / 10)
        if process.exitcode:
            return f"rank {rank} {_end(process.exitcode)}"
    return ""


def _end(code: int) -> str:
    """How a process ended that did not answer."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code} before it answered"


def _running(left: dict[int, Any], folder: Path, seconds: float) -> str:
    """What ranks that do not come to an end are doing."""
    for process, _ in left.values():
        os.kill(process.pid, signal.SIGUSR1)
    time.sleep(_GRACE / 4)
    places = [
        f"rank {rank}:\n{(folder / f'where-{rank}').read_text() or 'it does not say'}"
        for rank in left
    ]
    named = ", ".join(map(str, left))
    return f"still running after {seconds:g} seconds: rank {named}\n\n" + "\n".join(places)
