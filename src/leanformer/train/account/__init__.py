"""How much memory a training step takes, and what for."""

from leanformer.train.account.account import Account
from leanformer.train.account.measure import measure_memory
from leanformer.train.account.predict import predict_memory

__all__ = ["Account", "measure_memory", "predict_memory"]
