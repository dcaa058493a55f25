from collections import Counter
from typing import Any

import pytest
import torch
from retrieve.training.pairs import encoder, related

from leanformer.retrieve.training.tuple_batches import TupleBatch, TupleBatches
from leanformer.retrieve.training.tuples import encode_tuples


def batches(negatives: int = 1, targets: Any = None, **settings: Any) -> TupleBatches:
    tuples = encode_tuples(related(negatives), targets, encoder()[1], 32)
    given = {"batch_size": 10, "max_tokens": 10_000, "seed": 0, **settings}
    return TupleBatches(tuples, **given)


@pytest.mark.parametrize("whole", [True, False])
def test_an_epoch_has_each_tuple_once_with_the_texts_that_are_its_own(whole: bool) -> None:
    found = batches(whole=whole, max_tokens=60)
    seen: Counter[int] = Counter()
    for step in range(found.steps_per_epoch):
        parts = found.at(step)
        assert len(parts) == 1 or not whole
        for part in parts:
            assert isinstance(part, TupleBatch)
            assert part.places is not None
            ids = part.inputs["input_ids"]
            assert len({tuple(row) for row in ids.tolist()}) == len(ids)
            assert whole or ids.numel() <= 60 or len(part.index) == 1
            for member, places in zip(part.index, part.places.tolist(), strict=True):
                for row, text in zip(places, found.tuples.places[member], strict=True):
                    own = found.tuples.texts.rows[text]["input_ids"]
                    assert ids[row, : len(own)].tolist() == own
            seen.update(part.index)
    assert seen == Counter(range(24))
    assert found.at(0)[0].index != found.at(3)[0].index  # another epoch, another order
    assert found.whole_tokens == 0
    assert sum(map(found.tokens, range(found.steps_per_epoch))) == found.epoch_tokens


def test_a_batch_says_what_is_no_negative() -> None:
    found = batches(exclude=True, whole=True)
    (batch,) = found.at(0)
    assert batch.excluded is not None  # type: ignore[attr-defined]
    for row, (anchor, positive, *_) in enumerate(batch.places.tolist()):  # type: ignore[attr-defined]
        excluded = batch.excluded[row]  # type: ignore[attr-defined]
        assert excluded[anchor]
        assert excluded[positive]
    assert batches().at(0)[0].excluded is None  # type: ignore[attr-defined]


def test_tuples_may_have_fewer_texts() -> None:
    targets = [(0.5,) * (1 + row % 3) for row in range(24)]
    found = batches(2, targets)
    places = [own[: 2 + row % 3] for row, own in enumerate(found.tuples.places)]
    found.tuples.places[:] = places
    batch = found.batch([0, 1, 2])
    assert batch.places is not None
    assert (batch.places >= 0).sum(1).tolist() == [2, 3, 4]
    assert batch.targets.tolist() == [[0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]]  # type: ignore[union-attr]


def test_some_tuples_of_a_batch_are_a_batch() -> None:
    found = batches(2, list(range(24)), exclude=True)
    whole = found.batch(range(8))
    part, alone = whole.take([5, 2]).to(torch.device("cpu")), found.batch([5, 2])
    assert part.index == (5, 2)
    for name in ("places", "targets", "excluded"):
        assert torch.equal(getattr(part, name), getattr(alone, name))
    width = alone.inputs["input_ids"].shape[1]
    assert torch.equal(part.inputs["input_ids"][:, :width], alone.inputs["input_ids"])


def test_other_data_are_told_apart() -> None:
    assert batches().identity() == batches().identity()
    assert batches().identity() != batches(2).identity()
    assert batches(targets=[0.0] * 24).identity() != batches(targets=[1.0] * 24).identity()
    found = batches()
    found.restore(batches().state())
    with pytest.raises(ValueError, match="the checkpoint is of other data"):
        found.restore(batches(2).state())
