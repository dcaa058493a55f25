"""Equal digests mean equal content."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.identity.digest import PREFIX, chunks, digest

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(values, values)
def test_equal_values_have_equal_digests_and_others_do_not(one: Any, other: Any) -> None:
    assert digest(one) == digest(json.loads(json.dumps(one)))
    same = json.dumps(one) == json.dumps(other)
    assert (digest(one) == digest(other)) == same


def test_parts_give_one_digest_whatever_their_number() -> None:
    items = [[index] for index in range(2500)]
    assert digest(chunks(items)) == digest(items[:1000], items[1000:2000], items[2000:])
    assert digest(chunks(items)) != digest(chunks(items[:-1]))
    assert digest().startswith(PREFIX)
