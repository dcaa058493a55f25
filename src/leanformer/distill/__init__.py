"""Train a small model, the student, on what a large one answers."""

STEPS = (
    "students.distilbert.Distilbert",
    "students.miniature.Miniature",
    "students.mobilebert.Mobilebert",
    "students.tinybert.Tinybert",
    "progressive.Progressive",
    "step.Distill",
)
"""What recipes may do to make and teach a student; see `leanformer.core.step`."""
