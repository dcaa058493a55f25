"""Counts of a data set, against counting pair by pair."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leanformer.data.plan import count_data, keys_of
from leanformer.data.task import Dataset, Examples, Task

NAMES = ("a", "NA", "c")

texts = st.sampled_from(["x", "X", "y", "z", "x "])


def examples(rows: list[tuple[str, str, int]], pairs: bool) -> Examples:
    return Examples(
        texts=[text for text, _, _ in rows],
        pairs=[pair for _, pair, _ in rows] if pairs else None,
        labels=[label for _, _, label in rows],
    )


splits_of_rows = st.lists(st.tuples(texts, st.sampled_from("pq"), st.integers(0, 2)), min_size=1, max_size=12)  # fmt: skip


@given(splits_of_rows, splits_of_rows, splits_of_rows, st.booleans())
def test_counts_of_pairs_of_rows(train: Any, dev: Any, test: Any, pairs: bool) -> None:
    rows = {"train": train, "dev": dev, "test": test}
    data = Dataset(
        name="toy",
        task=Task(kind="classification", labels=NAMES),
        **{name: examples(own, pairs) for name, own in rows.items()},
    )
    counts = count_data(data)

    def same(one: Any, other: Any) -> bool:
        return bool(one[0] == other[0] and (not pairs or one[1] == other[1]))

    for own in counts.splits:
        found = rows[own.split]
        assert own.rows == len(found) == sum(own.labels.values())
        repeats = [any(same(a, b) for b in found[:place]) for place, a in enumerate(found)]
        assert own.repeated == sum(repeats)
        firsts = [a for a, repeat in zip(found, repeats, strict=True) if not repeat]
        torn = [any(same(a, b) and a[2] != b[2] for b in found) for a in found]
        # a text counts once, at whichever of its rows comes first
        assert own.contradictory == sum(
            any(same(a, b) and hurt for b, hurt in zip(found, torn, strict=True)) for a in firsts
        )
        assert own.labels == {name: sum(row[2] == place for row in found) for place, name in enumerate(NAMES)}  # fmt: skip
    met = {shared.splits: shared for shared in counts.shared}
    for first, second in itertools.combinations(rows, 2):
        shared = met.pop((first, second), None)
        ours = [any(same(a, b) for b in rows[second]) for a in rows[first]]
        theirs = [any(same(a, b) for b in rows[first]) for a in rows[second]]
        assert (shared is None) == (not any(ours))
        if shared is not None:
            assert shared.rows == (sum(ours), sum(theirs))
            firsts = [a for n, a in enumerate(rows[first]) if not any(same(a, b) for b in rows[first][:n])]  # fmt: skip
            common = [a for a in firsts if any(same(a, b) for b in rows[second])]
            assert shared.texts == len(common)
            own, other = ([{b[2] for b in rows[n] if same(a, b)} for a in common] for n in (first, second))  # fmt: skip
            assert shared.contradictory == sum(map(set.__ne__, own, other))
            assert shared.is_leak == (first == "train")
    assert not met


@given(splits_of_rows, splits_of_rows)
def test_what_is_shared_is_so_both_ways(one: Any, other: Any) -> None:
    def of(train: Any, dev: Any) -> Any:
        test = [("a text of its own", "p", 0)]
        made = {"train": train, "dev": dev, "test": test}
        task = Task(kind="classification", labels=NAMES)
        split = {name: examples(rows, True) for name, rows in made.items()}
        return count_data(Dataset(name="toy", task=task, **split)).shared

    there, back = of(one, other), of(other, one)
    assert [(s.texts, s.rows, s.contradictory) for s in there] == [
        (s.texts, s.rows[::-1], s.contradictory) for s in back
    ]


def of_kind(kind: str, labels: Any, names: tuple[str, ...] = (), **columns: Any) -> Any:
    own = Examples(texts=["x", "y", "x"], labels=labels, **columns)
    data = Dataset(name="toy", task=Task(kind=kind, labels=names), train=own, dev=own, test=own)
    return count_data(data).splits[0]


def test_flags_are_counted_by_label() -> None:
    found = of_kind("multi-label", [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], ("a", "b"))
    assert found.labels == {"a": 2, "b": 1}
    assert (found.repeated, found.contradictory, found.numbers) == (1, 1, None)


def test_tags_are_counted_by_word() -> None:
    words = [["x"], ["y"], ["x"]]
    found = of_kind("tokens", [[0], [1], [0]], ("O", "B"), words=words)
    assert found.labels == {"O": 2, "B": 1}
    assert (found.repeated, found.contradictory) == (1, 0)


def test_numbers_have_a_range() -> None:
    found = of_kind("regression", [1.0, 2.5, 1.0])
    assert (found.labels, found.numbers, found.contradictory) == ({}, (1.0, 1.5, 2.5), 0)


def test_queries_are_counted() -> None:
    assert of_kind("ranking", [0.0, 1.0, 0.5], groups=["q", "q", "r"]).queries == 2


def test_texts_without_labels() -> None:
    own = Examples(texts=["x", "y", "x"])
    data = Dataset(name="toy", task=Task(kind="embedding"), train=own, dev=own, test=own, unlabelled=own)  # fmt: skip
    counts = count_data(data)
    assert [split.split for split in counts.splits] == ["train", "dev", "test", "unlabelled"]
    assert {(s.labels == {}, s.numbers, s.contradictory) for s in counts.splits} == {
        (True, None, 0)
    }
    assert ("test", "unlabelled") in [shared.splits for shared in counts.shared]
    assert sum(shared.is_leak for shared in counts.shared) == 2


def test_a_pair_and_a_text_that_join_alike_are_not_the_same() -> None:
    assert keys_of(Examples(texts=["a b", "a"], pairs=["c", "b c"])) == [("a b", "c"), ("a", "b c")]


def test_names_that_may_mean_that_there_is_no_label() -> None:
    own = examples([("x", "p", 0), ("y", "p", 1), ("z", "p", 2)], False)
    task = Task(kind="classification", labels=NAMES)
    assert count_data(Dataset(name="t", task=task, train=own, dev=own, test=own)).odd_labels == ("NA",)  # fmt: skip
