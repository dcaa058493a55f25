"""What is asked of a search, checked before anything is begun."""

from dataclasses import dataclass, field
from typing import Annotated

from leanformer.core.ranges import Count, Index, Positive, Range, Seed, Share, Threads, ranged
from leanformer.data import Dataset, Source
from leanformer.distill.objective import Objective
from leanformer.distill.objectives import Cosine, HiddenStates, Logits, SoftTargets, Vectors
from leanformer.measure.promise import Confidence
from leanformer.tasks import kind_named
from leanformer.train.setup import TrainSetup

_SEEN = 180_000  # examples that a student sees, where epochs are left to us
_EPOCHS = (3, 30)


@dataclass(frozen=True, kw_only=True)
@ranged
class Request:
    """A search for the fastest model that keeps a quality.

    Raises:
        ValueError: A field is out of its range.
    """

    model: str
    """Folder or hub name of the model."""
    data: Source
    """Where the texts are."""
    student: str | None = None
    """Folder or hub name of the encoder that students are cut from, with its own tokenizer, for a
    model that cannot be cut; None = the model itself."""
    keep: Share = 0.99
    """Share of the teacher's quality that the result must keep."""
    confidence: Confidence = 0.9
    """How sure the development split has to be of that for it to be called proven."""
    minutes: Positive = 60.0
    """What the whole search may take; a training that would end later is shortened or left out."""
    seed: Seed = 0
    """Decides everything random."""
    fresh_head: bool = False
    """Fine-tune the teacher with a new head in place of the model's own, e.g. of one that was
    trained for other labels."""
    max_length: Annotated[int, Range(at_least=8, at_most=2**24)] = 128
    """Longer texts are cut to this many tokens."""
    teacher_epochs: Positive | None = None
    """Epochs of fine-tuning the teacher; None = 4, or more where there are few examples."""
    student_epochs: Positive | None = None
    """Epochs of distilling a student; None = about 180,000 examples, 3 to 30 epochs."""
    min_count: Count = 1
    """Word pieces seen less often are cut from the vocabulary."""
    first_pieces: Index = 12_000
    """Keep the first so many pieces of the vocabulary, and those of the texts."""
    threads: Threads = field(default=0)
    """Threads to train and to measure with; 0 = all cores."""
    device: str = "auto"
    """Where models are trained: "auto" = the accelerator where there is one, "cpu", "cuda",
    "cuda:1", "mps". A search may go on on another one; what is served is measured on the CPU."""
    batch_dependent: bool = False
    """Let graphs take part in the race whose answers depend on the other texts of a batch."""

    portable: bool = False
    """Keep to what transformers loads without us: no n-grams and no cascade is chosen."""

    def teacher_setup(self, examples: int) -> TrainSetup:
        """How the teacher is fine-tuned."""
        epochs = self.teacher_epochs or min(12.0, max(4.0, round(24_000 / examples)))
        return TrainSetup(epochs=epochs, learning_rate=1e-4, batch_size=32)

    def student_setup(self, examples: int) -> TrainSetup:
        """How a student is distilled."""
        low, high = _EPOCHS
        epochs = self.student_epochs or min(high, max(low, round(_SEEN / examples)))
        evaluations = min(10, max(3, round(epochs)))
        return TrainSetup(epochs=epochs, learning_rate=4e-4, batch_size=64, evaluations=evaluations)

    def objectives(self, kind: str, *, normalized: bool = True) -> tuple[Objective, ...]:
        """What a student is compared with its teacher in: the output and every kept level, or the
        output alone where students are cut from another encoder.

        Args:
            kind: Kind of task.
            normalized: Whether an embedding teacher's vectors have length one; if not, the student
                learns their lengths too.
        """
        outputs: dict[str, Objective] = {
            "classes": SoftTargets(),
            "decisions": SoftTargets(),
            "numbers": Logits(),
            # of one weight: for vectors of length one they are the same objective
            "vector": Cosine(weight=10.0) if normalized else Vectors(weight=5.0),
        }
        answers = outputs[kind_named(kind).output]
        return (answers, HiddenStates()) if self.student is None else (answers,)


def examples_of(dataset: Dataset) -> int:
    """Texts that a student learns on."""
    return len(dataset.train) + len(dataset.unlabelled or ())
