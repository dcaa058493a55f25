"""OpenVINO: graphs converted, quantized and opened."""
