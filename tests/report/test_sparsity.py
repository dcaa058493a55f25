from leanformer.report import sparsity


def test_shares_stand_by_layer_and_by_matrix():
    rows = [
        {"layer": f"bert.encoder.layer.{layer}.{kind}", "kept": (layer + 1) / 10}
        for layer in (0, 1)
        for kind in ("attention.self.query", "output.dense")
    ]
    (heat,) = sparsity.kept(rows[:3])["data"]
    assert heat["x"] == [0, 1]
    assert heat["z"] == [[0.1, 0.2], [0.1, None]]
    assert heat["text"] == [["10.0%", "20.0%"], ["10.0%", ""]]
    assert sparsity.kept([{"layer": "odd<b>", "kept": 1.0}])["data"][0]["customdata"] == [
        ["odd&lt;b&gt;"]
    ]


def test_heads_stand_by_layer_where_layers_have_different_numbers_of_them():
    (heat,) = sparsity.kept_heads([[0.5, 0.0], [1.0]])["data"]
    assert heat["x"] == [0, 1]
    assert heat["z"] == [[0.5, 1.0], [0.0, None]]
    assert heat["text"] == [["50.0%", "100.0%"], ["0.0%", ""]]
    assert [row[0] for row in heat["customdata"]] == ["head 0", "head 1"]


def test_what_is_all_gone_is_drawn():
    (heat,) = sparsity.kept_heads([[0.0]])["data"]
    assert heat["text"] == [["0.0%"]]


def test_tickets_and_controls_are_lines_that_begin_at_the_whole_model():
    rows = [
        {"way": "dense", "kept": 1.0, "quality": 0.9},
        {"way": "ticket", "kept": 0.64, "quality": 0.88},
        {"way": "ticket", "kept": 0.8, "quality": 0.89},
        {"way": "random-mask", "kept": 0.8, "quality": 0.7},
    ]
    spec = sparsity.tickets(rows, "accuracy")
    assert [trace["name"] for trace in spec["data"]] == ["ticket", "random-mask"]
    assert spec["data"][0]["x"] == [1.0, 0.8, 0.64]
    assert spec["data"][0]["y"] == [0.9, 0.89, 0.88]
    assert spec["data"][1]["y"] == [0.9, 0.7]
