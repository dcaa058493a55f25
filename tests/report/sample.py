"""Records made by hand, as a run of `leanformer compress` writes them."""

import json
from pathlib import Path
from typing import Any

Event = dict[str, Any]

INTENTS = [
    "card arrival", "card lost", "change address", "close account", "exchange rate", "fees",
    "greeting", "loan", "mortgage", "open account", "overdraft", "pin change", "refund",
    "report fraud", "savings", "standing order", "statement", "thanks", "top up", "transfer",
]  # fmt: skip
HOSTILE = '<script>window.hacked = true</script> & "quotes" </script><img src=x onerror=alert(1)>'
METRIC = "accuracy"


def spread(value: float, unit: str, wide: float = 0.04) -> Event:
    return {"value": value, "unit": unit, "low": value * (1 - wide), "high": value * (1 + wide)}


def run(**changes: Any) -> Event:
    return {
        "event": "run", "time": "2026-11-22T19:42:07+00:00", "version": "0.1.0",
        "command": "leanformer compress ./minilm ./intents --task classification --keep 0.99 --minutes 10 --out ./lean",
        "model": "all-MiniLM-L6-v2", "task": {"kind": "classification", "labels": INTENTS},
        "data": {"name": "intents", "train": 1200, "dev": 240, "test": 320, "unlabelled": 0},
        "keep": 0.99, "minutes": 10, "seed": 1,
        "environment": {
            "cpu": "AMD EPYC 9R14", "cores": 2, "threads": 2, "memory_gb": 7.6, "python": "3.11.2",
            "torch": "2.13.0", "transformers": "5.23.0", "openvino": "2026.4.1",
            "onnxruntime": "1.32.0", "os": "Debian 12",
        },
    } | changes  # fmt: skip


def model(
    name: str, role: str, backend: str, precision: str, dev: float, test: float | None,
    latency: float, throughput: float, size: float, *,
    layers: int = 6, heads: int = 12, ffn: int = 1536, vocabulary: int = 30522, sort_gain: float = 1.9,
) -> Event:  # fmt: skip
    return {
        "event": "model", "time": "2026-11-22T19:44:00+00:00", "name": name, "role": role,
        "backend": backend, "precision": precision, "metric": METRIC,
        "shape": {"layers": layers, "heads": [heads] * layers, "ffn": [ffn] * layers, "hidden": 384,
                  "vocabulary": vocabulary, "parameters": layers * (384 * 32 * heads * 4 + 768 * ffn) + 384 * vocabulary,
                  "encoder_parameters": layers * (384 * 32 * heads * 4 + 768 * ffn)},
        "quality": {"dev": dev, "test": test},
        "quantities": {
            "latency_32": spread(latency / 1e3, "s", 0.03), "latency_128": spread(3.1 * latency / 1e3, "s"),
            "throughput": spread(throughput, "texts/s", 0.05),
            "throughput_unsorted": spread(throughput / sort_gain, "texts/s", 0.06),
            "memory": {"value": 120e6 + 4 * size * 1e6, "unit": "bytes"},
            "size": {"value": size * 1e6, "unit": "bytes"},
            "flops": {"value": 2.0 * layers * (384 * 32 * heads * 4 + 768 * ffn), "unit": "FLOP/token"},
            "cpu_time": {"value": 1.9 / throughput, "unit": "s/text"},
        },
        "note": "",
    }  # fmt: skip


def models() -> list[Event]:
    rejected = model("L1-h25-f25", "candidate", "openvino", "int8", 0.7958, None, 0.31, 7900, 3.6,
                     layers=1, heads=3, ffn=384, vocabulary=8123)  # fmt: skip
    unmeasured = model("L2-h25-f25", "candidate", "openvino", "int8", 0.8542, None, 0.5, 5000, 4.1,
                       layers=2, heads=3, ffn=384, vocabulary=8123)  # fmt: skip
    unmeasured["quantities"] = {"size": unmeasured["quantities"]["size"]}
    small = {"vocabulary": 8123}
    return [
        model("teacher · PyTorch fp32", "teacher", "pytorch", "fp32", 0.9208, 0.9094, 8.1, 236, 90.9),
        model("teacher · ONNX Runtime fp32", "baseline", "onnxruntime", "fp32", 0.9208, 0.9094, 3.3, 262, 91.2),
        model("teacher · PyTorch bf16", "baseline", "pytorch", "bf16", 0.9208, 0.9062, 4.7, 430, 45.5),
        model("teacher · OpenVINO int8", "baseline", "openvino", "int8", 0.9167, 0.9062, 1.9, 676, 23.4),
        model("L6-h50-f50", "candidate", "openvino", "int8", 0.9208, None, 1.21, 1020, 9.1, layers=6, heads=6, ffn=768, **small),
        model("L4-h50-f50", "candidate", "openvino", "int8", 0.9167, None, 0.86, 1490, 8.2, layers=4, heads=6, ffn=768, **small),
        model("L3-h100-f100", "candidate", "openvino", "int8", 0.9167, None, 1.02, 1310, 8.9, layers=3, **small),
        model("L3-h50-f50", "candidate", "openvino", "int8", 0.9125, 0.9031, 0.68, 1757, 7.7, layers=3, heads=6, ffn=768, **small),
        model("L2-h50-f50", "candidate", "openvino", "int8", 0.8917, None, 0.52, 2480, 6.9, layers=2, heads=6, ffn=768, **small),
        unmeasured,
        rejected,
    ]  # fmt: skip


def steps() -> list[Event]:
    made = []
    for name, after in (("L3-h50-f50", 4_950_000), ("L4-h50-f50", 5_510_000)):
        made += [
            {"event": "step", "model": name, "step": "cut vocabulary", "settings": {"keep": 8123}, "seconds": 0.8, "proofs": [
                {"claim": "token embeddings", "before": 30522, "after": 8123, "unit": "tokens", "ok": True, "asked": 8123, "note": ""},
                {"claim": "embedding matrix on disk", "before": 46.9e6, "after": 12.5e6, "unit": "bytes", "ok": True, "asked": None, "note": "99.98 % of the corpus is still one piece a word"},
            ]},
            {"event": "step", "model": name, "step": "shrink", "settings": {"layers": 3, "heads": 6}, "seconds": 2.4, "proofs": [
                {"claim": "parameters", "before": 22_713_216, "after": after, "unit": "parameters", "ok": True, "asked": 5_000_000, "note": ""},
                {"claim": "work per token", "before": 21.3e6, "after": 5.3e6, "unit": "FLOP/token", "ok": True, "asked": None, "note": ""},
                {"claim": "latency at 32 tokens, PyTorch", "before": 0.0081, "after": 0.0030, "unit": "s", "ok": True, "asked": None, "note": "interleaved, 40 calls each"},
            ]},
            {"event": "step", "model": name, "step": "distill", "settings": {"temperature": 2.0}, "seconds": 131.0, "proofs": [
                {"claim": "accuracy on dev", "before": 0.0542, "after": 0.9125, "unit": "fraction", "ok": True, "asked": 0.9116, "note": ""},
            ]},
            {"event": "step", "model": name, "step": "quantize", "settings": {"bits": 8}, "seconds": 6.1, "proofs": [
                {"claim": "matrix products run in int8", "before": 0, "after": 18, "unit": "nodes", "ok": True, "asked": 18, "note": "counted in the executed graph"},
                {"claim": "weights on disk", "before": 19.8e6, "after": 7.7e6, "unit": "bytes", "ok": True, "asked": None, "note": ""},
                {"claim": "outputs equal PyTorch's", "before": None, "after": 0.0131, "unit": "", "ok": True, "asked": 0.05, "note": "largest difference of a logit on 64 texts"},
            ]},
        ]  # fmt: skip
    made.append({"event": "step", "model": "L2-h25-f25", "step": "quantize", "settings": {}, "seconds": 1.0, "proofs": [
        {"claim": "matrix products run in int8", "before": 0, "after": 0, "unit": "nodes", "ok": False, "asked": 12, "note": "the quantizer skipped every layer"},
    ]})  # fmt: skip
    return made


def losses() -> list[Event]:
    parts = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ]
    rows = [{"layer": f"bert.encoder.layer.{layer}.{part}", "loss": 0.021 / (1 + 0.7 * (5 - index) + layer),
             "low": -0.4 - index, "high": 0.3 + 2.5**index / (1 + layer), "weight": 0.2 + 0.05 * index}
            for layer in range(3) for index, part in enumerate(parts)]  # fmt: skip
    return [
        {
            "event": "losses_by_layer",
            "model": "L3-h50-f50",
            "rows": sorted(rows, key=lambda r: -r["loss"]),
        }
    ]


def sparsities() -> list[Event]:
    """How much is left of each matrix, as `sparsify` and `lottery` write it."""
    rows = [
        {"layer": row["layer"], "kept": 0.05 + 0.3 * abs(index % 7 - 3) / 3, "weights": 589_824}
        for index, row in enumerate(losses()[0]["rows"])
    ]
    heads = [[0.05 + 0.03 * abs(head - layer) for head in range(6)] for layer in range(3)]
    tickets: list[Event] = [{"way": "dense", "round": 0, "kept": 1.0, "quality": 0.925}]
    for number in range(1, 6):
        for way, slope in (("ticket", 0.1), ("random-weights", 0.6), ("random-mask", 0.9)):
            left = 0.8**number
            quality = 0.925 - slope * (1 - left) ** 3
            tickets.append({"way": way, "round": number, "kept": left, "quality": quality})
    shown = {"model": "L3-h50-f50"}
    return [
        {"event": "sparsity_by_layer", **shown, "rows": rows, "heads": heads},
        *[{"event": "ticket", **shown, **ticket} for ticket in tickets],
    ]


def choices() -> list[Event]:
    told = [
        (
            "L6-h50-f50",
            "kept",
            "keeps 100.0 % on dev; 1.5× the int8 teacher, so a smaller one is tried",
        ),
        ("L4-h50-f50", "kept", "keeps 99.6 % on dev; 2.2× the int8 teacher"),
        ("L3-h100-f100", "kept", "keeps 99.6 % on dev; slower than L4-h50-f50"),
        ("L3-h50-f50", "kept", "keeps 99.1 % on dev; 2.6× the int8 teacher"),
        ("L2-h50-f50", "rejected", "keeps 96.8 % on dev, 99 % asked"),
        ("L2-h25-f25", "rejected", "int8 had no effect: the quantizer skipped every layer"),
        ("L1-h25-f25", "rejected", "keeps 86.4 % on dev, 99 % asked"),
        ("L1-h50-f50", "skipped", "0.4 minutes are left, its training takes 1.1"),
        ("L3-h50-f50", "chosen", "the fastest that keeps 99 % on dev"),
    ]
    return [{"event": "choice", "name": n, "decision": d, "reason": r} for n, d, r in told]


def slices() -> list[Event]:
    classes = [{"name": name, "count": 12 + (7 * index) % 9, "teacher": min(1.0, 0.83 + ((index * 37) % 17) / 100),
                "student": min(1.0, 0.82 + ((index * 53) % 18) / 100)} for index, name in enumerate(INTENTS)]  # fmt: skip
    lengths = [{"name": n, "count": c, "teacher": t, "student": s} for n, c, t, s in
               [("1–5 tokens", 41, 0.878, 0.854), ("6–10 tokens", 149, 0.913, 0.906), ("11–20 tokens", 108, 0.926, 0.926), ("21+ tokens", 22, 0.864, 0.909)]]  # fmt: skip
    return [
        {"event": "slices", "split": "test", "by": "class", "metric": METRIC, "rows": classes},
        {"event": "slices", "split": "test", "by": "length", "metric": METRIC, "rows": lengths},
    ]


def disagreements() -> list[Event]:
    told = [
        ("my new card still hasn't turned up", "card arrival", "card arrival", "card lost", 0.91, 0.52),
        ("i think somebody took money from me while i was abroad", "report fraud", "report fraud", "transfer", 0.87, 0.48),
        ("what do you charge me for going below zero", "overdraft", "fees", "overdraft", 0.61, 0.66),
        ("send a hundred to my sister every month please", "standing order", "transfer", "standing order", 0.58, 0.71),
        ("how much are the pounds worth in euros right now, and does the rate I see in the app already include your margin or is that added on top when I actually pay with the card", "exchange rate", "exchange rate", "fees", 0.95, 0.44),
        ("is there any way out of this contract", "close account", "loan", "mortgage", 0.33, 0.29),
        (HOSTILE, "fees", "fees", "<b>refund</b>", 0.77, 0.51),
    ]  # fmt: skip
    rows = [{"text": text, "pair": None, "label": label, "teacher": t, "student": s, "teacher_confidence": tc, "student_confidence": sc}
            for text, label, t, s, tc, sc in told]  # fmt: skip
    return [{"event": "disagreements", "rows": rows}]


def backends() -> list[Event]:
    return [{"event": "backends", "rows": [
        {"backend": "openvino", "precision": "int8", "throughput": 1757.0, "latency": 0.00068, "agreement": 0.9969, "chosen": True, "reason": "fastest that agrees"},
        {"backend": "onnxruntime", "precision": "int8", "throughput": 1102.0, "latency": 0.00081, "agreement": 0.9844, "chosen": False, "reason": ""},
        {"backend": "openvino", "precision": "bf16", "throughput": 961.0, "latency": 0.00104, "agreement": 1.0, "chosen": False, "reason": ""},
        {"backend": "pytorch", "precision": "fp32", "throughput": 511.0, "latency": 0.0031, "agreement": 1.0, "chosen": False, "reason": ""},
        {"backend": "openvino", "precision": "fp16", "throughput": None, "latency": None, "agreement": None, "chosen": False, "reason": "the smoke test ended with signal SIGFPE"},
    ]}]  # fmt: skip


def training() -> list[Event]:
    names = [m["name"] for m in models() if m["role"] == "candidate"]
    events = []
    for index, name in enumerate(names):
        final = next(m for m in models() if m["name"] == name)["quality"]["dev"]
        for epoch in range(1, 9):
            for part in range(5):
                step = (epoch - 1) * 100 + part * 20 + 20
                loss = (
                    0.12
                    + 0.05 * index
                    + 2.6 * 0.62 ** (step / 60)
                    + 0.02 * ((step * 7 + index) % 5) / 5
                )
                dev = final * (1 - 0.5 * 0.45**epoch) if part == 4 else None
                events.append({"event": "training", "model": name, "epoch": epoch, "step": step, "loss": loss, "dev": dev})  # fmt: skip
    return events


def verdict(**changes: Any) -> Event:
    return {"event": "verdict", "chosen": "L3-h50-f50", "teacher": "teacher · PyTorch fp32",
            "baseline": "teacher · OpenVINO int8", "sentence": "as the search says it"} | changes  # fmt: skip


def full() -> list[Event]:
    return [run(), *models(), *training(), *steps(), *losses(), *sparsities(), *choices(), *slices(),
            *disagreements(), *backends(), verdict()]  # fmt: skip


def missed() -> list[Event]:
    """A run in which no student kept what was asked."""
    below = [m for m in models() if m["role"] != "candidate" or m["quality"]["dev"] < 0.91]
    lost = [c for c in choices() if c["decision"] in ("rejected", "skipped")]
    return [run(), *below, *lost, verdict(chosen=None)]


def unfinished() -> list[Event]:
    """A run that was killed while it trained its second student."""
    return [run(), *models()[:5], *training()[:60], *choices()[:1]]


def minimal() -> list[Event]:
    """The least that makes a page."""
    return [{"event": "run", "time": "2026-11-22T19:42:07+00:00"}]


def write(path: Path, events: list[Event], tail: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"time": "2026-11-22T19:45:00+00:00"} | event, ensure_ascii=False)
        for event in events
    ]
    path.write_text("\n".join(lines) + "\n" + tail, encoding="utf-8")
    return path
