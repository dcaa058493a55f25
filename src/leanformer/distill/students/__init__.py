"""Every student there is: small models made from a teacher before they learn from it."""

from leanformer.distill.students.distilbert import Distilbert
from leanformer.distill.students.miniature import Miniature
from leanformer.distill.students.mobilebert import Mobilebert
from leanformer.distill.students.tinybert import Tinybert

__all__ = ["Distilbert", "Miniature", "Mobilebert", "Tinybert"]
