"""Every sparsity pattern there is."""

from leanformer.prune.patterns.blocks import Blocks
from leanformer.prune.patterns.hybrid import Hybrid
from leanformer.prune.patterns.n_of_m import NOfM
from leanformer.prune.patterns.unstructured import Unstructured

__all__ = ["Blocks", "Hybrid", "NOfM", "Unstructured"]
