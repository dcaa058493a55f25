"""A server in a process of its own whose batches take a while: FOLDER WORKERS SECONDS_PER_BATCH."""

import sys
import time
from pathlib import Path

from leanformer.serve import Settings, serve
from leanformer.serve.served import Model

ANSWER = Model.answer
FOLDER, WORKERS, SECONDS = sys.argv[1:4]


def slowly(self, group, given):
    time.sleep(float(SECONDS))
    return ANSWER(self, group, given)


Model.answer = slowly  # in each worker too: it imports this file

if __name__ == "__main__":
    settings = Settings(threads=1, concurrency=1, batch_tokens=40, queue_seconds=600)
    serve(
        Path(FOLDER),
        settings,
        port=0,
        workers=int(WORKERS),
        tell=lambda address: print(address, flush=True),
    )
