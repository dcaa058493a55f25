"""From a record to a page: reads records only, knows no technique."""

from leanformer.report.compare import compare, write_comparison
from leanformer.report.page import write_report
from leanformer.report.plan import plan_lines
from leanformer.report.promise import promise_lines
from leanformer.report.summary import markdown
from leanformer.report.verdict import sentence

__all__ = [
    "compare",
    "markdown",
    "plan_lines",
    "promise_lines",
    "sentence",
    "write_comparison",
    "write_report",
]
