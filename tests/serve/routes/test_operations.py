"""Health, readiness and counts; what a stopping or stuck server says is in test_guard.py."""


def test_a_server_is_live_and_ready_and_counts(server):
    own = server()
    assert own.get("/health").json() == {"status": "live"}
    assert own.get("/ready").json() == {"status": "ready"}
    own.post("/predict", {"texts": ["jump", "the film was slow"]})
    response = own.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert 'leanformer_texts_total{worker="w"} 2' in lines
    assert 'leanformer_queue_tokens{worker="w"} 0' in lines
    assert 'leanformer_requests_in_flight{worker="w"} 1' in lines  # this one
    tokens = sum(own.served.predictor.lengths(["jump", "the film was slow"]))
    assert f'leanformer_tokens_total{{worker="w"}} {tokens}' in lines
    assert 'leanformer_request_seconds_count{worker="w",route="/predict"} 1' in lines
