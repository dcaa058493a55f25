"""Exporters without their warnings, for a while, and without what they do to the logging of others.

OpenVINO's converter sets the level and the filters of the root logger, and leaves them so when a
conversion fails: every later warning of the process would be lost.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced() -> Iterator[None]:
    """No warning inside the block, whether logged or raised by `warnings`; afterwards logging is as
    it was before.
    """
    root, before = logging.getLogger(), logging.root.manager.disable
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
