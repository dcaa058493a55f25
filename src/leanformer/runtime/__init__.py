"""Run a finished model fast, and prove what ran.

A model becomes one graph (`graph`), is exported (`openvino_backend`, `onnx_backend`) or kept
(`torch_backend`), tried in a subprocess (`smoke`), raced on this machine (`race`), and served by
`load(folder).predict(texts)` (`predictor`).
"""
