import pytest

from leanformer.measure.environment import environment, machine_of

HERE = {"cpu": "A CPU", "instructions": ["avx2"], "cores": 2, "threads": 1, "torch": "2.13.0"}


def test_a_machine_is_named_by_what_torch_runs_on():
    assert machine_of(HERE) == "A CPU, 2 cores, 1 threads, torch 2.13.0, avx2"
    assert machine_of({**HERE, "gpu": "A GPU"}).startswith("A CPU, A GPU, 2 cores")
    assert machine_of(environment(1)) == machine_of(environment(1))


@pytest.mark.parametrize("key", [*HERE, "gpu"])
def test_another_machine_has_another_name(key):
    other = {"instructions": ["avx2", "avx512f"]}.get(key, "another")
    assert machine_of({**HERE, key: other}) != machine_of(HERE)


def test_what_does_not_change_a_time_changes_no_name():
    assert machine_of({**HERE, "os": "another", "memory_gb": 1, "nncf": None}) == machine_of(HERE)


@pytest.mark.parametrize("nothing", [None, {}, {"cpu": None}])
def test_a_record_that_names_no_machine_is_said_to(nothing):
    assert machine_of(nothing) == "a machine that the record does not name"
