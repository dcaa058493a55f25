"""Answers of an exported folder, and what the batching cost.

python examples/predict.py lean/model
"""

import sys

import leanformer

TEXTS = ["my card was charged twice", "the lazy dog", "i want my money back"]

predictor = leanformer.load(sys.argv[1])
for text, answer in zip(TEXTS, predictor.predict(TEXTS), strict=True):
    print(f"{answer.score:.2f}  {answer.label:20}  {text}")
padding = predictor.system.padding(TEXTS)
print(f"{padding.real} tokens, {padding.padded} with padding")
