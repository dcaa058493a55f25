"""Cutting the vocabulary, as a step: word pieces that no text of the domain uses are removed.

Half of the weights of a small encoder are word embeddings, and a domain uses a tenth of them. A
removed word is spelled with smaller pieces, so that every text can still be read. Texts whose
pieces are all kept are tokenized exactly as before.

With `phrases`, what a domain says again and again becomes one token per phrase ("how do i", "top
up", rare words of several pieces), begun as the mean of its pieces. Time falls with the tokens of a
text; the model reads its texts otherwise than before and has to be trained afterwards.
"""

from itertools import chain
from typing import Any

from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, Index
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.cutting.phrase_tokens import add_phrases, check_phrases
from leanformer.models.cutting.phrases import find_phrases
from leanformer.models.cutting.vocabulary import count_pieces, cut_vocabulary
from leanformer.models.embedding import embedding_of


@technique("cut-vocabulary", paper="Abdaoui et al. 2020, arXiv:2010.05609")
class CutVocabulary(Step):
    """Keep only the word pieces that the domain uses: a smaller file and the same outputs."""

    min_count: Count = 1
    """Pieces that are rarer than this in the training and unlabelled texts are removed."""
    size: Count | None = None
    """Keep at most this many pieces, the most frequent first; None = no limit."""
    first: Index = 0
    """Also keep this many of the first pieces of the vocabulary. They are ordered by frequency, and
    new texts of the domain use them too."""
    missing_ok: bool = False
    """Accept that there is nothing to remove, as in a vocabulary that was cut before."""
    phrases: Index = 0
    """Add this many phrases as tokens, those that save the most tokens; fewer where fewer are
    frequent. Train the model afterwards, best by `distill`. Where words are labeled, only words
    that several pieces spell are added, so that each word keeps a token of its own."""
    phrase_words: Count = 4
    """Words of the longest phrase."""
    phrase_min_count: Count = 10
    """How often a phrase must occur in the training and unlabelled texts."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay."""
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Cut the model's embeddings and rewrite the tokenizer to match.

        Raises:
            ValueError: The tokenizer or the task cannot have phrases.
            NoEffect: Nothing could be removed or added and `missing_ok` is not set.
        """
        if self.phrases:
            _check_task(workspace.dataset.task)
            check_phrases(workspace.tokenizer)
        embedding, before = embedding_of(workspace.model), len(workspace.tokenizer)
        texts = self._texts(workspace)
        prompts = chain.from_iterable(map(workspace.tokenizer.encode, embedding.prompts.values()))
        teacher_tokenizer = workspace.teacher_tokenizer or workspace.tokenizer
        tokenizer, _ = cut_vocabulary(
            workspace.model,
            workspace.tokenizer,
            texts,
            keep_ids={*range(min(self.first, before)), *prompts},
            min_count=self.min_count,
            size=self.size,
        )
        after = len(tokenizer)
        proofs = [
            Proof(
                claim="word pieces",
                before=before,
                after=after,
                unit="",
                ok=after < before or self.missing_ok or self.phrases > 0,
            )
        ]
        if self.phrases:
            tokenizer, proof = self._add_phrases(workspace, tokenizer, texts)
            proofs.append(proof)
        return workspace.with_(
            tokenizer=tokenizer,
            teacher_tokenizer=teacher_tokenizer,
            proofs=tuple(require(proofs)),
        )

    def _texts(self, workspace: Workspace) -> list[str]:
        """All texts to learn from, as they are read: the prompt stands before them."""
        dataset, prompt = workspace.dataset, embedding_of(workspace.model).prompt
        texts: list[str] = []
        for part in (dataset.train, dataset.unlabelled):
            if part is not None:
                texts += [*(prompt + text for text in part.texts), *(part.pairs or ())]
        return texts

    def _add_phrases(
        self, workspace: Workspace, tokenizer: Any, texts: list[str]
    ) -> tuple[Any, Proof]:
        """The tokenizer with phrases, and the proof that texts of dev have fewer tokens."""
        dataset = workspace.dataset
        phrases = find_phrases(
            tokenizer,
            texts,
            self.phrases,
            max_words=1 if dataset.task.about.per_token else self.phrase_words,
            min_count=self.phrase_min_count,
        )
        grown = add_phrases(workspace.model, tokenizer, phrases)
        dev = [*dataset.dev.texts, *(dataset.dev.pairs or ())]
        before, after = (count_pieces(one, dev).total() / len(dev) for one in (tokenizer, grown))
        proof = Proof(
            claim="tokens per text on dev",
            before=before,
            after=after,
            unit="",
            ok=after < before or self.missing_ok,
            note=f"phrases added: {len(phrases)}; special tokens not counted",
        )
        return grown, proof


def _check_task(task: Any) -> None:
    """Refuse tasks that predict tokens.

    Raises:
        ValueError: The task is a language model.
    """
    if task.about.hides_words or task.about.predicts_next:
        raise ValueError(
            f"phrases: the task is {task.kind}, which predicts tokens, and neither a teacher nor a "
            "perplexity of before can be compared with a model that predicts phrases; set "
            "phrases = 0, and add phrases where the model learns the task that it is for"
        )
