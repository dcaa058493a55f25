import pytest

from leanformer.data.corpus.reading import CorpusProgress
from leanformer.pretrain.opening import told


@pytest.mark.parametrize(("count", "words"), [(1, "1 document, 50%"), (1234, "1,234 documents,")])
def test_the_reading_is_told_in_words(count: int, words: str) -> None:
    reading = CorpusProgress(count, 10, 5, 1.0, 0.5, 7.2)
    assert words in told(reading)
    assert told(reading).endswith(", 7 s left")
