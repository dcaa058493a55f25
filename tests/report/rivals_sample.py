"""A record with every kind of system: the teacher's forms, TF-IDF, n-grams, students, cascades."""

from typing import Any

from report.sample import Event, model, run, spread, verdict

CASCADE = "n-grams → teacher · OpenVINO int8"
BEHIND = "n-grams → L3-h50-f50"
RATES = (1.0, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.0)


def system(
    name: str, role: str, kind: str, dev: float, test: float | None,
    one_thread: float, latency: float, size: float, *, worst: float | None = None, **more: Any,
) -> Event:  # fmt: skip
    """A system that answers `one_thread` texts per second, and a text in `latency` ms."""
    made = model(name, role, more.pop("backend", "native"), "int8", dev, test, latency,
                 1.8 * one_thread, size, **more)  # fmt: skip
    if kind != "transformer":
        made["shape"] = {}
        del made["quantities"]["flops"]
    made["system"] = kind
    made["quantities"] |= {
        "throughput_one_thread": spread(one_thread, "texts/s", 0.05),
        "latency_mean": {"value": latency / 1e3, "unit": "s"},
        "latency_median": {"value": 0.8 * latency / 1e3, "unit": "s"},
        "latency_worst": {"value": (worst or 3 * latency) / 1e3, "unit": "s"},
    }
    return made


def cascade(
    name: str, dev: float, test: float | None, one_thread: float, latency: float, passed: float
) -> Event:
    made = system(name, "candidate", "cascade", dev, test, one_thread, latency, 26.0, worst=2.4)
    made["quantities"]["deferral"] = {"value": passed, "unit": ""}
    return made


def models() -> list[Event]:
    pytorch = system("teacher · PyTorch fp32", "teacher", "transformer", 0.9208, 0.9094, 118, 8.1,
                     90.9, backend="pytorch")  # fmt: skip
    pytorch["precision"] = "fp32"
    onnx = system("teacher · ONNX Runtime fp32", "baseline", "transformer", 0.9208, 0.9094, 190,
                  3.3, 91.2, backend="onnxruntime")  # fmt: skip
    onnx["precision"] = "fp32"
    openvino = {"backend": "openvino"}
    ngrams = system("n-grams", "candidate", "hashed-ngrams", 0.9005, 0.8941, 195_000, 0.006, 4.2)
    ngrams["quantities"]["fit"] = {"value": 4.3, "unit": "s"}
    simplest = system("TF-IDF · linear model", "baseline", "ngrams", 0.8990, 0.8930, 11_800, 0.31,
                      14.8, backend="scikit-learn")  # fmt: skip
    simplest["quantities"]["fit"] = {"value": 5.1, "unit": "s"}
    untimed = system("L2-h25-f25", "candidate", "transformer", 0.87, None, 1, 1, 3, **openvino)
    untimed["quantities"] = {}
    return [
        pytorch,
        onnx,
        system("teacher · OpenVINO int8", "baseline", "transformer", 0.9167, 0.9062, 620, 1.9, 23.4, **openvino),
        simplest,
        ngrams,
        system("L4-h100-f100", "candidate", "transformer", 0.9220, None, 905, 1.3, 12.1, layers=4, **openvino),
        system("L3-h50-f50", "candidate", "transformer", 0.9125, None, 1480, 0.68, 7.7, layers=3, **openvino),
        system("L2-h50-f50", "candidate", "transformer", 0.8917, None, 2480, 0.52, 6.9, layers=2, **openvino),
        system("L1-h25-f25", "candidate", "transformer", 0.7958, None, 7900, 0.31, 3.6, layers=1, **openvino),
        untimed,
        cascade(CASCADE, 0.9163, 0.9051, 8_050, 0.14, 0.069),
        cascade(BEHIND, 0.9121, None, 11_900, 0.08, 0.1),
    ]  # fmt: skip


def gate(name: str, second: str, kept: float, rate: float) -> Event:
    """Thresholds of n-grams before a system that keeps `kept`; proven from `rate` on."""
    rows = [
        {
            "rate": share,
            "threshold": None if share == 1 else round(0.2 + 3 * share, 3),
            "kept": kept - (kept - 0.978) * (1 - share) ** 24,
            "lower": kept - (kept - 0.978) * (1 - share) ** 24 - 0.006,
            "proven": share >= rate,
        }
        for share in RATES
    ]
    return {"event": "gate", "name": name, "first": "n-grams", "second": second, "gate": "margin",
            "rows": rows, "rate": rate, "proven": True}  # fmt: skip


def choices(chosen: str = CASCADE, *, proven: bool = True) -> list[Event]:
    told = [
        ("L4-h100-f100", "kept", "keeps 100.13 % of the teacher's quality on dev"),
        ("L3-h50-f50", "rejected", "keeps 99.10 %, at least 98.40 %; 99 % is asked"),
        ("L2-h50-f50", "rejected", "keeps 96.8 %"),
        ("L1-h25-f25", "rejected", "keeps 86.4 %"),
        ("n-grams", "rejected", "keeps 97.80 %, at least 97.10 %; 99 % is asked"),
    ]
    made: list[Event] = [
        {"event": "choice", "name": name, "decision": decision, "reason": reason}
        for name, decision, reason in told
        if name != chosen
    ]
    made.append({"event": "choice", "name": chosen, "decision": "chosen", "proven": proven,
                 "faster": [BEHIND], "reason": "the fastest that is proven to keep 0.99"})  # fmt: skip
    return made


def gates() -> list[Event]:
    behind = gate(BEHIND, "L3-h50-f50", 0.991, 0.1) | {"proven": False}
    return [gate(CASCADE, "teacher · OpenVINO int8", 0.9956, 0.07), behind]


def rivals(chosen: str = CASCADE, keep: float = 0.99, **changes: Any) -> list[Event]:
    """A search that chose a cascade, or what is named."""
    end = verdict(chosen=chosen, outcome="kept", faster=[BEHIND]) | changes
    promise = {
        "keep": keep, "confidence": 0.9, "kept": 0.995, "lower": 0.9912, "proven": True,
        "holds": True, "examples": 1000, "needed": None, "metric": "accuracy", "unit": "text",
    }  # fmt: skip
    proven = end["outcome"] == "kept"
    return [run(keep=keep), *models(), *gates(), *choices(chosen, proven=proven),
            {"promise": promise} | end]  # fmt: skip


def needless() -> list[Event]:
    """A search in which n-grams keep what was asked."""
    return rivals("n-grams", keep=0.97)
