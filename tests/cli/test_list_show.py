import pytest


def test_list_names_every_family_and_technique(run):
    code, shown, _ = run("list")
    assert code == 0
    for name in ("soft-targets", "hidden-states", "shrink", "cut-vocabulary", "int8", "taylor"):
        assert name in shown


def test_list_of_one_family_leaves_the_others_out(run):
    code, shown, _ = run("list", "objective")
    assert code == 0
    assert "soft-targets" in shown
    assert "taylor" not in shown


def test_list_of_an_unknown_family_names_the_nearest(run):
    code, shown, said = run("list", "objectiv")
    assert (code, shown) == (2, "")
    assert "did you mean 'objective'?" in said
    assert "Traceback" not in said


def test_show_tells_what_it_is_its_fields_and_its_paper(run):
    code, shown, _ = run("show", "soft-targets")
    assert code == 0
    assert "arXiv:1503.02531" in shown
    assert "temperature = 1.0" in shown
    assert "Divides both logits" in shown


@pytest.mark.parametrize("name", ["finetune", "shrink", "distill", "int8", "cut-vocabulary"])
def test_show_explains_every_step_with_a_sentence_for_each_field(run, name):
    code, shown, _ = run("show", name)
    assert code == 0
    fields = shown.split("\nfields\n")[1].splitlines()
    docs = [line.strip() for line in fields[1::2]]
    assert docs
    assert all(docs), fields


def test_show_of_an_unknown_name_names_the_nearest(run):
    code, _, said = run("show", "soft-target")
    assert code == 2
    assert "did you mean 'soft-targets'?" in said
