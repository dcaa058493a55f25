import torch

from leanformer.calibrate.statistics import UnitStatistics
from leanformer.prune.criteria.units import Magnitude
from leanformer.prune.criteria.units.magnitude import magnitude_score

OUTGOING = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))


def test_it_is_the_norm_of_all_weights_of_a_unit() -> None:
    for width in (1, 3, 4):
        expected = [
            sum(
                OUTGOING[o, c].item() ** 2
                for o in range(5)
                for c in range(u * width, (u + 1) * width)
            )
            ** 0.5
            for u in range(12 // width)
        ]
        torch.testing.assert_close(magnitude_score(OUTGOING, width), torch.tensor(expected))


def test_texts_have_no_say() -> None:
    for seen in (0.0, 3.0):
        statistics = UnitStatistics(torch.full((12,), seen), torch.full((4,), seen), OUTGOING)
        assert torch.equal(Magnitude().score(statistics), magnitude_score(OUTGOING, 3))
