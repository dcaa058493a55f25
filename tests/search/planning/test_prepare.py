"""All that comes before work: the same checks, the same plan, whether work follows or not."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_data

from leanformer.data import Source
from leanformer.search.planning.prepare import prepare
from leanformer.search.request import Request


@pytest.mark.parametrize(
    "kind", ["classification", "multi-label", "ranking", "tokens", "embedding"]
)
def test_every_task_has_a_plan(kind: str, tmp_path: Path) -> None:
    model = tiny_data.write_encoder(tmp_path / "model")
    data = tiny_data.write_data(tmp_path / "data", kind)
    asked = kind if kind == "ranking" else None
    request = Request(model=str(model), data=Source(path=str(data), kind=asked))
    dataset, opened, plan = prepare(request)
    assert opened.layers == 3
    facts = dict(plan.facts)
    assert facts["Task"][0].startswith(kind)
    assert facts["Model"][1].endswith(
        "no head is needed" if kind == "embedding" else "its head is new"
    )
    assert [row["rows"] for row in plan.splits] == [
        len(split) for split in (dataset.train, dataset.dev, dataset.test)
    ]
    with pytest.raises(ValueError, match="device: 'gpu' is not on this machine"):
        prepare(replace(request, device="gpu"))
