"""From a record to a page: reads records only, knows no technique."""

from leanformer.report.compare import compare, write_comparison
from leanformer.report.page import write_report
from leanformer.report.summary import markdown

__all__ = ["compare", "markdown", "write_comparison", "write_report"]
