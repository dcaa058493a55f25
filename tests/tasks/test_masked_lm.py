import numpy as np
import pytest

from leanformer.tasks import Asked, MaskedLm

KIND = MaskedLm()


def test_it_is_judged_while_it_runs() -> None:
    rows = [np.eye(3, dtype=np.float32)]
    assert KIND.agreement(rows, rows) == 1
    for answer in (
        lambda: KIND.metric("masked_accuracy", ()),
        lambda: KIND.answers(rows, Asked()),
        lambda: KIND.right(Asked()),
        lambda: KIND.serve(rows, (), [], []),
    ):
        with pytest.raises(AssertionError, match="is not computed from answers"):
            answer()
