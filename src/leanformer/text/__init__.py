"""How a text is read: as token ids, as words, and tags of words as spans; needs no torch.

Training, judging and serving all read through this folder, so that what is served is what was
judged.
"""

from leanformer.text.opening import open_reader, reader_of
from leanformer.text.reader import Reader, Reading
from leanformer.text.tags import OUTSIDE, entities, word_tags
from leanformer.text.texts import TextError, check_pairs, check_texts
from leanformer.text.words import join_words, split_words

__all__ = [
    "OUTSIDE",
    "Reader",
    "Reading",
    "TextError",
    "check_pairs",
    "check_texts",
    "entities",
    "join_words",
    "open_reader",
    "reader_of",
    "split_words",
    "word_tags",
]
