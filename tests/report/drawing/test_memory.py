from leanformer.report.drawing.memory import memory_account


def test_parts_are_stacked_beside_the_most_that_was_there() -> None:
    drawn = memory_account({"weights": 3 << 20, "gradients": 1 << 20, "temporary": 0}, 9 << 20)
    bars = [(bar["name"], bar["x"], bar["y"]) for bar in drawn["data"]]
    assert bars == [("weights", [3], [0]), ("gradients", [1], [0]), ("at most", [9], [1])]
    assert drawn["layout"]["yaxis"]["ticktext"] == ["predicted", "at most"]
    alone = memory_account({"weights": 3 << 20}, None)
    assert [bar["name"] for bar in alone["data"]] == ["weights"]
