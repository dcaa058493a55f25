"""Every folder's own description, against what its server answers (schemathesis)."""

import hypothesis
import pytest

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")


@pytest.mark.parametrize("name", ["classifier", "embedder", "ranker", "index"])
def test_answers_are_as_described(server, name):
    own = server(name)
    described_whole = name in ("classifier", "embedder")
    # that pairs are as many as texts, and which fields a filter may name, no schema can say
    left_out = [] if described_whole else [checks.positive_data_acceptance]
    schema = schemathesis.openapi.from_asgi("/openapi.json", own.guard)
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def fits(case):
            case.call_and_validate(excluded_checks=left_out)

        fits()
