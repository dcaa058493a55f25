"""Every learning-rate schedule there is."""

from leanformer.train.schedules.constant import ConstantRate
from leanformer.train.schedules.cosine import CosineDecay
from leanformer.train.schedules.linear import LinearDecay
from leanformer.train.schedules.polynomial import PolynomialDecay

__all__ = ["ConstantRate", "CosineDecay", "LinearDecay", "PolynomialDecay"]
