"""Gradient noise: how large a batch is worth its examples."""

from leanformer.train.noise.gradient_noise import GradientNoiseHook, gradient_noise
from leanformer.train.noise.noise_scale import GradientNoise

__all__ = ["GradientNoise", "GradientNoiseHook", "gradient_noise"]
