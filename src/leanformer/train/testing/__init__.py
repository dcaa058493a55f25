"""Tests of trainings on several ranks, for this project's models and for your own.

`on_ranks` calls a function in several processes that form one group; `compare_layouts` trains on
such groups and in one process, and says by how much they differ. In float64 every layout gives the
numbers of one process to the last digits, so a test needs no tolerance that could hide a fault:

    def make() -> Trained:
        torch.manual_seed(0)
        return Trained(my_model().double(), my_data(), Supervised("causal-lm"), TrainSetup(steps=3))

    def test_my_model() -> None:
        for found in compare_layouts(make, [Parallel(data=2), Parallel(data=2, zero=3)]):
            found.require_exact()
"""

from leanformer.train.testing.layouts import Difference, Trained, compare_layouts, trace
from leanformer.train.testing.on_ranks import RankFailed, on_ranks

__all__ = ["Difference", "RankFailed", "Trained", "compare_layouts", "on_ranks", "trace"]
