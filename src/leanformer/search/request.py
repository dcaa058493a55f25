"""What is asked of a search, checked before anything is begun."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from leanformer.core.ranges import Count, Index, Positive, Range, Seed, Share, Threads, ranged
from leanformer.data import Dataset, Source
from leanformer.distill.objective import Objective
from leanformer.distill.objectives import Cosine, HiddenStates, Logits, SoftTargets, Vectors
from leanformer.measure.promise import Confidence
from leanformer.tasks import kind_named
from leanformer.train.setup import TrainSetup

_SEEN = 180_000  # examples that a student sees, where epochs are left to us
_EPOCHS = (3, 30)
_FEW_TEXTS, _FEW_CLASSES, _COPIES = 5_000, 10, 2  # for altered copies of texts
_PATIENCE = 2  # epochs of fine-tuning without a better evaluation


Goal = Literal["latency", "throughput", "size", "memory"]
"""What a search makes small."""
BEST: dict[Goal, str] = {
    "throughput": "the fastest",
    "latency": "the one with the lowest latency",
    "size": "the smallest",
    "memory": "the one that needs the least memory",
}
"""What a reason calls the best system, by what the search is for."""


@dataclass(frozen=True, kw_only=True)
@ranged
class Request:
    """A search for the fastest, smallest or leanest model that keeps a quality.

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
    goal: Goal = "throughput"
    """What decides among the models that keep it: texts per second, the mean latency of texts of
    dev that come one by one, bytes on disk, or peak memory."""
    portable: bool = False
    """Choose only what transformers loads without leanformer: no fewer heads, no weights that were
    trained to round, no cascade, no n-grams."""
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
    """Epochs of fine-tuning the teacher at most; None = 4, or more where there are few examples. It
    ends after two epochs without a better evaluation."""
    student_epochs: Positive | None = None
    """Epochs of distilling a student; None = about 180,000 examples, 3 to 30 epochs, and fewer of
    those the less is cut."""
    augment: Index | None = None
    """Altered copies of each training text that students learn on too, made once by putting likely
    words in place of some; 0 = none; None = two where they were found to help: texts of at most ten
    classes, fewer than 5,000 of them, without pairs and without texts that have no labels."""
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

    def teacher_setup(self, examples: int) -> TrainSetup:
        """How the teacher is fine-tuned: until dev stops improving. That dev chooses among its
        evaluations flatters the teacher alone, so no promise about a student gains by it."""
        epochs = self.teacher_epochs or min(12.0, max(4.0, round(24_000 / examples)))
        return TrainSetup(
            epochs=epochs, learning_rate=1e-4, batch_size=32, early_stopping_patience=_PATIENCE
        )

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


def copies_of(request: Request, dataset: Dataset) -> int:
    """Altered copies of each training text that students learn on.

    Where they are left to us: at equal steps they gained 2.8 points on SST-2 and lost 0.8 on
    Banking77 and 7 on STS-B (docs/results/distillation.md). A likely other word seldom leaves the
    domain, but it moves a text among 77 intents, or a pair along its scale.
    """
    if request.augment is not None:
        return request.augment
    train, few = dataset.train, len(dataset.train) < _FEW_TEXTS
    plain = dataset.task.kind == "classification" and train.pairs is None
    alone = not dataset.unlabelled
    return _COPIES if plain and few and alone and dataset.task.outputs <= _FEW_CLASSES else 0


def examples_of(request: Request, dataset: Dataset) -> int:
    """Texts that a student learns on."""
    copies = copies_of(request, dataset)
    return (1 + copies) * len(dataset.train) + len(dataset.unlabelled or ())
