"""Cutting the vocabulary, as a step: word pieces that no text of the domain uses are removed.

Half of the weights of a small encoder are word embeddings, and a domain uses a tenth of them. A
removed word is spelled with smaller pieces, so that every text can still be read. Texts whose
pieces are all kept are tokenized exactly as before.
"""

from itertools import chain

from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, Index
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.cutting.vocabulary import cut_vocabulary
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

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay."""
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Cut the model's embeddings and rewrite the tokenizer to match.

        Raises:
            NoEffect: Nothing could be removed and `missing_ok` is not set.
        """
        dataset, embedding = workspace.dataset, embedding_of(workspace.model)
        texts: list[str] = []
        for part in (dataset.train, dataset.unlabelled):
            if part is not None:
                texts += [*(embedding.prompt + text for text in part.texts), *(part.pairs or ())]
        before = len(workspace.tokenizer)
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
        proof = Proof(
            claim="word pieces",
            before=before,
            after=after,
            unit="",
            ok=after < before or self.missing_ok,
        )
        return workspace.with_(
            tokenizer=tokenizer,
            teacher_tokenizer=teacher_tokenizer,
            proofs=tuple(require([proof])),
        )
