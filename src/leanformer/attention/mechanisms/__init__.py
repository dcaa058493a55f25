"""Every mechanism that is no pattern."""

from leanformer.attention.mechanisms.linformer import Linformer
from leanformer.attention.mechanisms.nystrom import Nystrom

__all__ = ["Linformer", "Nystrom"]
