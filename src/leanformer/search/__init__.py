"""The search for the fastest model that keeps a quality."""

from leanformer.search.compress import compress
from leanformer.search.request import Request

__all__ = ["Request", "compress"]
