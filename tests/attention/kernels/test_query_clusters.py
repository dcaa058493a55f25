from typing import Any

import pytest
import torch
from attention_cases import random_text
from torch import Tensor

from leanformer.attention.kernels.query_clusters import (
    QueryClusters,
    lloyd,
    of_group,
    sign_bits,
    summed,
)


def signs(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).sign()


def every(length: int, batch: int = 2) -> Tensor:
    return torch.ones(batch, length, dtype=torch.bool)


def slow_lloyd(bits: list[list[float]], clusters: int, iterations: int) -> list[int]:
    """The algorithm on one text's lists of signs."""
    there = len(bits)
    used = min(clusters, there)
    centroids = [list(bits[one * there // used]) for one in range(used)]

    def nearest() -> list[int]:
        found = []
        for token in bits:
            far = [sum(a != b for a, b in zip(token, c, strict=True)) for c in centroids]
            found.append(far.index(min(far)))
        return found

    for _ in range(iterations):
        groups = nearest()
        for number, centroid in enumerate(centroids):
            for bit in range(len(centroid)):
                vote = sum(t[bit] for t, g in zip(bits, groups, strict=True) if g == number)
                if vote:
                    centroid[bit] = 1.0 if vote > 0 else -1.0
    return nearest()


@pytest.mark.parametrize(("clusters", "iterations"), [(4, 0), (4, 3), (7, 10), (50, 2)])
def test_groups_are_those_of_the_algorithm_step_by_step(clusters: int, iterations: int) -> None:
    bits = signs(2, 3, 33, 9)
    keep = every(33)
    keep[1, 6:] = False
    found = lloyd(bits, keep, clusters, iterations)
    for text, there in enumerate((33, 6)):
        for head in range(3):
            expected = slow_lloyd(bits[text, head, :there].tolist(), clusters, iterations)
            assert found[text, head, :there].tolist() == expected


def test_each_move_of_the_centroids_is_no_worse() -> None:
    bits = signs(1, 1, 200, 16)

    def distance(iterations: int) -> float:
        group = lloyd(bits, every(200, 1), 8, iterations)
        centroid = of_group(summed(bits, group, 8).sign(), group)
        return float((bits != centroid).double().mean())

    assert distance(10) < distance(0)


def test_separate_bunches_are_found() -> None:
    bunch = torch.arange(60) % 3
    bits = signs(3, 32)[bunch][None, None]
    bits[..., 0] = signs(60)  # a little noise
    group = lloyd(bits, every(60, 1), 3, 5)[0, 0]
    assert ((group[:, None] == group) == (bunch[:, None] == bunch)).all()


def test_angles_are_read_from_the_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(4000, 2, generator=generator)
    angle = torch.tensor([0.0, 0.5, 1.0, 2.0], dtype=torch.float64)
    bits = sign_bits(torch.stack([angle.cos(), angle.sin()], -1)[None, None], planes)[0, 0]
    differing = (bits != bits[0]).double().mean(-1)
    torch.testing.assert_close(differing * torch.pi, angle, rtol=0, atol=0.1)


def test_means_are_over_members_that_are_there() -> None:
    query = random_text(21).query
    keep = every(21)
    keep[1, 9:] = False
    query[1, :, 9:] = torch.nan
    clusters = QueryClusters(8, 4, bits=16, iterations=3, seed=0)
    group, means = clusters(query, keep)
    assert means.shape == (2, 4, 4, 8)
    for text, there in enumerate((21, 9)):
        own = clusters.own_mean(query[text, :, :there])
        for head in range(4):
            for token in range(there):
                member = group[text, head, :there] == group[text, head, token]
                expected = query[text, head, :there][member].mean(0)
                torch.testing.assert_close(means[text, head, group[text, head, token]], expected)
                torch.testing.assert_close(own[head, token], expected)


def test_planes_are_drawn_from_the_seed_alone() -> None:
    def planes(seed: int) -> Any:
        return QueryClusters(8, 4, bits=16, iterations=3, seed=seed).planes

    torch.manual_seed(3)
    first = planes(0)
    torch.manual_seed(4)
    assert torch.equal(first, planes(0))
    assert not torch.equal(first, planes(1))
