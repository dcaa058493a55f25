"""Layer by layer: the base of objectives that can teach one layer of the student at a time.

    L = mean_{(m, n)} D(m, n)        m layer of the student, n = g(m) layer of the teacher

The mean is over the compared layers. MobileBERT's code divides by the number of all layers, even
when one is taught.
"""

from dataclasses import dataclass

from leanformer.core.ranges import Index, NotNegative
from leanformer.distill.comparisons.layer_map import LayerMap, layer_pairs
from leanformer.distill.objective import Dims, Objective


@dataclass(frozen=True, kw_only=True)
class Layerwise(Objective):
    """Compares layers of the student with layers of its teacher, all or some."""

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""
    layers: tuple[Index, ...] | None = None
    """Student layers to compare; None = all. Progressive transfer compares one at a time."""
    teacher_layers: LayerMap | tuple[Index, ...] = "uniform"
    """Teacher layer for each student layer: a map, or which."""

    def pairs(self, student: Dims, teacher: Dims) -> list[tuple[int, int]]:
        """The pairs (student layer, teacher layer) to compare.

        Raises:
            ValueError: The student does not have these layers, or the map does not fit.
        """
        return layer_pairs(self.layers, self.teacher_layers, student.layers, teacher.layers)
