"""ONNX Runtime: graphs exported, fused, quantized and opened."""
