import pytest
from retrieve.training.pairs import encoder, related

from leanformer.data.relations import Relations
from leanformer.retrieve.training.tuples import (
    class_names,
    encode_tuples,
    score_range,
    targets_of,
)


def rows(labels: tuple[str, ...] | None = None, **more: object) -> Relations:
    found = related(rows=4)
    return Relations(
        anchors=found.anchors,
        positives=found.positives,
        negatives=((),) * 4,
        labels=labels,
        **more,  # type: ignore[arg-type]
    )


def test_texts_that_are_read_alike_are_one_text() -> None:
    _, tokenizer = encoder()
    relations = Relations(
        anchors=("the fox", "The Fox", "the dog"),
        positives=("a dog", "rice", "the fox"),
        negatives=(("rice",), (), ()),
    )
    tuples = encode_tuples(relations, None, tokenizer, 32)
    assert len(tuples.texts) == 4
    fox = tuples.places[0][0]
    assert tuples.places[1][0] == fox == tuples.places[2][1]
    dog, rice = tuples.places[0][1:]
    assert tuples.places[1][1] == rice
    assert tuples.belongs[fox] == {fox, dog, rice}
    cut = encode_tuples(rows(), None, tokenizer, 4)
    assert cut.texts.truncated > 0


def test_what_the_data_say_of_a_row() -> None:
    scored = rows(labels=("0", "5", "2.5", "1"))
    assert score_range(scored) == (0, 5)
    assert targets_of("train", scored, "scores", ends=(0, 5)) == [0, 1, 0.5, 0.2]
    classed = rows(labels=("no", "yes", "no", "maybe"))
    assert class_names(classed) == ("maybe", "no", "yes")
    assert targets_of("train", classed, "classes", class_names(classed)) == [1, 2, 1, 0]
    taught = rows(scores=((1.0,),) * 4)
    assert targets_of("train", taught, "teacher") == [(1.0,)] * 4
    assert targets_of("train", rows(labels=("1",) * 4), "none") is None


def test_what_the_data_do_not_say_is_refused() -> None:
    with pytest.raises(ValueError, match=r"train: the pairs have labels .*cosine-score"):
        targets_of("train", rows(labels=("0", "1", "0", "1")), "none")
    with pytest.raises(ValueError, match="dev: no column of labels is read; name it"):
        targets_of("dev", rows(), "scores")
    with pytest.raises(
        ValueError, match=r"train row 3: the score 3 is beyond score_range, \[0, 2\]"
    ):
        targets_of("train", rows(labels=("1", "2", "3", "0")), "scores", ends=(0, 2))
    assert targets_of("dev", rows(labels=("1", "2", "3", "0")), "scores", ends=(0, 2)) is not None
    with pytest.raises(ValueError, match=r"missing in 2 of 4 rows \(2, 4\)"):
        targets_of("train", rows(labels=("1", "", "2", "")), "scores")
    with pytest.raises(ValueError, match="row 2: label 'yes' is not a finite number"):
        targets_of("train", rows(labels=("1", "yes", "2", "3")), "scores")
    with pytest.raises(ValueError, match="dev: label 'odd' is not among those of train: a, b"):
        targets_of("dev", rows(labels=("a", "odd", "a", "b")), "classes", ("a", "b"))
    with pytest.raises(ValueError, match="no teacher's scores"):
        targets_of("train", rows(), "teacher")
    with pytest.raises(ValueError, match="all rows have the class 'a'"):
        class_names(rows(labels=("a",) * 4))
    with pytest.raises(ValueError, match="all rows have the score 2"):
        score_range(rows(labels=("2",) * 4))
