import logging
import warnings

import pytest

from leanformer.runtime.silence import silenced

LOG = logging.getLogger("some.library")


def test_nothing_is_said_inside_and_everything_afterwards(caplog, recwarn):
    with silenced():
        LOG.warning("inside")
        warnings.warn("inside", stacklevel=1)
    LOG.warning("afterwards")
    warnings.warn("afterwards", stacklevel=1)
    assert [record.message for record in caplog.records] == ["afterwards"]
    assert [str(one.message) for one in recwarn] == ["afterwards"]


def test_errors_are_said(caplog):
    with silenced():
        LOG.error("it failed")
    assert [record.message for record in caplog.records] == ["it failed"]


def test_what_was_switched_off_before_stays_off_also_after_an_error():
    logging.disable(logging.ERROR)
    try:
        with pytest.raises(RuntimeError), silenced():
            raise RuntimeError
        assert logging.root.manager.disable == logging.ERROR
    finally:
        logging.disable(logging.NOTSET)


def test_what_a_library_makes_of_the_root_logger_is_undone():
    root = logging.getLogger()
    before = root.level, list(root.filters), list(root.handlers)
    with pytest.raises(RuntimeError), silenced():
        root.setLevel(logging.ERROR)
        root.addFilter(lambda record: False)
        root.addHandler(logging.NullHandler())
        raise RuntimeError
    assert (root.level, root.filters, root.handlers) == before
