"""The kinds of systems that are served: one file and one line each."""

from leanformer.runtime.system import System, find_system, served
from leanformer.runtime.systems import hashed_ngrams, ngrams, transformer  # noqa: F401  (register)

__all__ = ["System", "find_system", "served"]
