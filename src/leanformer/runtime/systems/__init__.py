"""The kinds of systems that are served: one file and one line each."""

from leanformer.runtime.system import System, find_system, served
from leanformer.runtime.systems import (  # noqa: F401  (register)
    cascade,
    hashed_ngrams,
    ngrams,
    transformer,
)

__all__ = ["System", "find_system", "served"]
