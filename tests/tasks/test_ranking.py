import math

import numpy as np
import pytest
from tasks.cases import kept

from leanformer.tasks import Asked, Ranking
from leanformer.tasks.ranking import Grade

KIND = Ranking()
OUTPUTS = [np.array([number], np.float32) for number in (0.0, 2.0, -3.0)]


def test_grades_are_numbers_from_0_up() -> None:
    assert kept("ranking", ["0", 1, "2.5"]) == ((), [0.0, 1.0, 2.5])
    assert math.isnan(Grade().blank(1))
    assert Grade().renumbered(2.0, [], 0) == 2.0
    for value in ("-1", "nan", "good"):
        with pytest.raises(ValueError, match=f"grade '{value}' is not a number from 0 up"):
            kept("ranking", ["1", value])
    with pytest.raises(ValueError, match="column 'label' has no grade above 0"):
        kept("ranking", ["0", "0"])
    with pytest.raises(ValueError, match="grade is missing"):
        Grade().read({}, "grade")


def test_texts_are_ranked_by_query() -> None:
    asked = Asked(labels=[1.0, 0.0, 1.0], groups=["ä", "ä", "b"])
    answers = KIND.answers(OUTPUTS, asked)
    assert answers == [("ä", 0.0), ("ä", 2.0), ("b", -3.0)]
    assert KIND.right(asked) == [("ä", 1.0), ("ä", 0.0), ("b", 1.0)]
    assert KIND.metric("mrr@10", ()).score(answers, KIND.right(asked)) == 0.75
    right = KIND.right(asked)
    assert KIND.metric("ndcg@10", ()).score(right, right) == 1


def test_a_user_gets_a_score_between_0_and_1() -> None:
    scores = KIND.serve(OUTPUTS, (), ["x", "y", "z"], [])
    assert scores == pytest.approx([0.5, 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(3))])
    assert KIND.plain(scores[0]) == {"score": 0.5}
    assert KIND.agreement(OUTPUTS, OUTPUTS) == 1
