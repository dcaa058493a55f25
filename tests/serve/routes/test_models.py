def test_models_are_listed_and_described_by_name(server, refused):
    own = server("embedder")
    (card,) = own.get("/v1/models").json()["data"]
    assert card["id"] == "embedder"
    assert (card["object"], card["owned_by"]) == ("model", "leanformer")
    assert card["routes"] == ["/v1/embeddings"]
    assert (card["task"], card["max_tokens"]) == ("embedding", 32)
    assert own.get("/v1/models/embedder").json() == card
    assert "model 'other/one' is not served" in refused(own.get("/v1/models/other/one"), 404)
