"""More texts for a teacher to label, made by substituting words.

    each word becomes, with probability `share`, one of its `candidates` likeliest substitutes:
        a word of one piece      predictions of a masked language model at its position
        a word of many pieces    words with similar embeddings

Without a masked language model embeddings serve all words. A substitution may change the label, and
may do so: the teacher labels the new text.

Legend: V vocabulary, D embedding width, W word, B batch.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.core.machine.device import inputs_on
from leanformer.core.ranges import Count, Share
from leanformer.core.technique import technique
from leanformer.data import Examples
from leanformer.distill.augmentation import Augmentation
from leanformer.models.io.load import load_model
from leanformer.train.masking import special_ids

_BATCH = 64


@technique("substitution", paper="Jiao et al. 2020 (TinyBERT), arXiv:1909.10351")
class Substitution(Augmentation):
    """Replace words by likely others, as TinyBERT does: for few training texts."""

    copies: Count = 20
    """New texts per text; equal ones are kept once."""
    share: Share = 0.4
    """Probability of replacing each word."""
    candidates: Count = 15
    """Substitutes to draw from."""
    language_model: str | None = None
    """Folder or hub name of a masked language model; None = embeddings for all words."""

    def augment(
        self, examples: Examples, tokenizer: Any, embeddings_VD: Tensor, seed: int
    ) -> Examples:
        """`copies` of each example with words replaced; of a pair one side at a time.

        Args:
            examples: Texts, pairs of texts, or words.
            tokenizer: The one that `embeddings_VD` belongs to.
            embeddings_VD: Word embeddings of a trained model.
            seed: Decides which words change into which.
        """
        model = load_model(self.language_model, "masked") if self.language_model else None
        find = _Substitutes(tokenizer, embeddings_VD, self.candidates, model)
        rows = examples.words or [text.split() for text in examples.texts]
        first = [find.of_words(words) for words in rows]
        second = None
        pairs = [text.split() for text in examples.pairs] if examples.pairs else None
        if pairs is not None:
            second = [find.of_words(words) for words in pairs]
        rng = random.Random(seed)
        made: list[tuple[list[str], list[str]]] = []
        for index, words in enumerate(rows):
            pair = pairs[index] if pairs is not None else []
            seen = {(*words, "", *pair)}
            for copy in range(self.copies):
                new, other = words, pair
                if second is not None and copy % 2:
                    other = substituted(pair, second[index], self.share, rng)
                else:
                    new = substituted(words, first[index], self.share, rng)
                key = (*new, "", *other)
                if key not in seen:
                    seen.add(key)
                    made.append((new, other))
        return Examples(
            texts=[" ".join(new) for new, _ in made],
            pairs=[" ".join(other) for _, other in made] if pairs is not None else None,
            words=[new for new, _ in made] if examples.words is not None else None,
        )


def substituted(
    words: Sequence[str], substitutes: Sequence[Sequence[str]], share: float, rng: random.Random
) -> list[str]:
    """`words`, each with probability `share` replaced by one of its substitutes, if it has any."""
    return [
        rng.choice(others) if others and rng.random() < share else word
        for word, others in zip(words, substitutes, strict=True)
    ]


class _Substitutes:
    """Finds what may stand in the place of a word."""

    def __init__(
        self,
        tokenizer: Any,
        embeddings_VD: Tensor,
        count: int,
        model: tuple[Any, Any] | None,
    ) -> None:
        self.tokenizer, self.count, self.model = tokenizer, count, model
        self.special = {tokenizer.convert_ids_to_tokens(n) for n in special_ids(tokenizer)}
        self.embeddings_VD = embeddings_VD.detach().float()
        self.words, self.ids = whole_words(tokenizer)
        self.known_WD = F.normalize(self.embeddings_VD[self.ids], dim=-1)
        self.near: dict[str, list[str]] = {}
        if model is not None:
            self.their_words, their_ids = whole_words(model[1])
            self.their_ids = torch.tensor(their_ids, device=embeddings_VD.device)
            model[0].to(embeddings_VD.device)

    def of_words(self, words: list[str]) -> list[list[str]]:
        """The substitutes of each word of a text; none for what is not a word, such as a comma or a
        special token."""
        plain = [word.isalpha() and word not in self.special for word in words]
        found = [
            self._near(word) if is_word else [] for word, is_word in zip(words, plain, strict=True)
        ]
        if self.model is not None:
            for place, others in self._fitting(words):
                found[place] = others if plain[place] else []
        return found

    def _near(self, word: str) -> list[str]:
        """Words whose embedding points where that of `word` (the mean of its pieces) does."""
        if word not in self.near:
            pieces = self.tokenizer.encode(word, add_special_tokens=False)
            vector_D = F.normalize(self.embeddings_VD[pieces].mean(0), dim=-1)
            order = (self.known_WD @ vector_D).topk(min(self.count + 1, len(self.words))).indices
            others = [self.words[index] for index in order.cpu().tolist()]
            self.near[word] = [other for other in others if other != word.lower()][: self.count]
        return self.near[word]

    @torch.no_grad()
    def _fitting(self, words: list[str]) -> Iterator[tuple[int, list[str]]]:
        """What the language model writes in the place of each word of one piece."""
        assert self.model is not None
        model, tokenizer = self.model
        encoded = tokenizer(
            words,
            is_split_into_words=True,
            truncation=True,
            max_length=tokenizer.model_max_length,
            return_tensors="pt",
        )
        owners = encoded.word_ids(0)
        single = [
            (token, word)
            for token, word in enumerate(owners)
            if word is not None and owners.count(word) == 1 and words[word].isalpha()
        ]
        for start in range(0, len(single), _BATCH):
            part = single[start : start + _BATCH]
            ids_BT = encoded["input_ids"].repeat(len(part), 1)
            places = torch.tensor([token for token, _ in part])
            rows = torch.arange(len(part))
            ids_BT[rows, places] = tokenizer.mask_token_id
            mask_BT = encoded["attention_mask"].repeat(len(part), 1)
            inputs = {"input_ids": ids_BT, "attention_mask": mask_BT}
            logits_BTV = model(**inputs_on(self.their_ids.device, inputs)).logits
            logits_BV = logits_BTV[rows, places]
            known_BW = logits_BV[:, self.their_ids]
            best = known_BW.topk(min(self.count + 1, known_BW.shape[1])).indices.cpu().tolist()
            for (_, word), order in zip(part, best, strict=True):
                others = [self.their_words[index] for index in order]
                yield word, [x for x in others if x != words[word].lower()][: self.count]


def whole_words(tokenizer: Any) -> tuple[list[str], list[int]]:
    """The pieces of a vocabulary that are words by themselves, and their ids."""
    ids = sorted(set(tokenizer.get_vocab().values()) - set(special_ids(tokenizer)))
    texts = [tokenizer.decode([index]).strip() for index in ids]
    spelled = tokenizer([text or "-" for text in texts], add_special_tokens=False)["input_ids"]
    kept = [
        (text, index)
        for text, index, pieces in zip(texts, ids, spelled, strict=True)
        if text.isalpha() and pieces == [index]
    ]
    return [text for text, _ in kept], [index for _, index in kept]
