"""The simplest rival in a contest: TF-IDF with a linear model, fitted while one waits.

Whatever a search finds must be worth more than what its user could fit in a minute, so that the
simplest rival is judged on the same splits and timed in the same rounds as all others.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Dataset, Examples
from leanformer.measure.tfidf import Tfidf
from leanformer.search.judged import Judged, asked_of, judge_answers, thresholds_of

SIMPLEST = "TF-IDF · linear model"


def judge_simplest(
    fitted: Tfidf, dataset: Dataset, split: str, targets: NDArray[np.float32] | None
) -> Judged:
    """What it says about a split.

    Args:
        fitted: The rival, fitted on the training split.
        dataset: The splits.
        split: "dev" or "test".
        targets: For embedding, the teacher's vectors of the split [N, D].
    """
    examples: Examples = getattr(dataset, split)
    task = dataset.task
    if split != "dev" and task.about.tunes_thresholds:  # test is answered with those of dev
        said = fitted.answer(dataset.dev.texts, dataset.dev.pairs)
        task = replace(task, thresholds=thresholds_of(said, dataset.dev, task))
    asked = asked_of(examples, task, targets)
    if task.about.reads_words:
        assert examples.words is not None
        outputs = fitted.answer_words(examples.words)
    else:
        outputs = fitted.answer(examples.texts, examples.pairs)
    return judge_answers(outputs, task.about.answers(outputs, asked), task.about.right(asked), task)
