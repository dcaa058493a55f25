import torch

from leanformer.calibrate.statistics import UnitStatistics
from leanformer.prune.criteria.units import Activation
from leanformer.prune.criteria.units.activation import activation_score

GENERATOR = torch.Generator().manual_seed(0)
OUTGOING = torch.randn(5, 12, generator=GENERATOR)
ACTIVATION = torch.rand(12, generator=GENERATOR)


def test_it_is_activation_times_the_norm_of_the_reading_column() -> None:
    for width in (1, 3, 4):
        expected = [
            sum(
                ACTIVATION[c] * OUTGOING[:, c].pow(2).sum().sqrt()
                for c in range(u * width, (u + 1) * width)
            )
            for u in range(12 // width)
        ]
        torch.testing.assert_close(
            activation_score(ACTIVATION, OUTGOING, width),
            torch.stack(expected),  # type: ignore[arg-type]
        )


def test_the_root_mean_square_of_what_a_neuron_writes_is_its_score() -> None:
    x = torch.randn(40, 12, generator=GENERATOR)
    statistics = UnitStatistics(x.pow(2).mean(0).sqrt(), torch.zeros(12), OUTGOING)
    written = torch.stack(
        [(x[:, c : c + 1] * OUTGOING[:, c]).pow(2).sum(1).mean().sqrt() for c in range(12)]
    )
    torch.testing.assert_close(Activation().score(statistics), written)
