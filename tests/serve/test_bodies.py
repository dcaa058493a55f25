import asyncio
import re

import pytest

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"texts": ["a\xed\xa0\x80"]}', "the body is not JSON"),
        (b'{"texts": ["a\\ud800"]}', "the body is not JSON.* column 20"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"texts": ["a"], "texts": ' + b"9" * 9999 + b"}", "out of range"),
        (b"[1]", r"the body: \[1\]: input should be an object"),
        (b"{}", "texts is missing"),
        (b'{"texts": "a"}', "texts: 'a' is not a list of texts"),
        (b'{"texts": {"0": "a"}}', "is not a list of texts"),
        (b'{"texts": null}', "texts: None is not a list of texts"),
        (b'{"texts": []}', "texts is empty"),
        (b'{"texts": ["a", 3]}', r"texts\[1\] is 3 \(int\), not a text"),
        (b'{"texts": ["a", "\\n "]}', r"texts\[1\] is empty"),
        (b'{"texts": ["a", "b\\u0000"]}', r"texts\[1\] holds a NUL at character 1"),
        (b'{"texts": ["a"], "x": 1}', "x: there is no such field here"),
        (b'{"texts": ["a"], "truncate": 1}', "truncate: 1: input should be a valid boolean"),
        (b'{"texts": ["aaaaaaaaaaaaaaaaaaaaa"]}', r"has 21 characters, more than 20"),
        (b'{"texts": ["a", "a", "a", "a"]}', "texts: 4 texts are more than 3"),
        (b'{"texts": ["a"], "pairs": ["a"]}', "reads single texts"),
    ],
)
def test_a_body_of_another_form_is_refused_with_its_place(server, refused, body, said):
    message = refused(server(max_texts=3, max_characters=20).raw("/predict", body), 400)
    assert re.search(said, message), message


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", None])
def test_a_body_that_is_not_declared_as_json_is_refused(server, refused, kind):
    own = server()
    headers = {} if kind is None else {"content-type": kind}
    sent = own.ask("POST", "/predict", content=b'{"texts": ["a"]}', headers=headers)
    response = asyncio.run(sent)
    said = f"'{kind}' is not application/json" if kind else "no content-type"
    message = refused(response, 415)
    assert said in message
    assert message.endswith("send JSON with the header Content-Type: application/json")
    assert response.json()["error"]["code"] == "unsupported_media_type"
    described = own.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]["415"]
    assert "Content-Type: application/json" in described["description"]


def test_a_body_that_is_declared_as_json_in_any_case_is_read(server):
    sent = server().raw("/predict", b'{"texts": ["a"]}', "Application/JSON; x=y")
    assert sent.status_code == 200


def test_a_body_that_is_too_large_is_refused_announced_or_not(server, refused):
    own = server(max_body_bytes=100)
    body = b'{"texts": ["' + b"a" * 200 + b'"]}'

    async def chunks():
        for start in range(0, len(body), 10):
            yield body[start : start + 10]

    assert "more than 100 bytes" in refused(own.raw("/predict", body), 413)
    chunked = asyncio.run(own.ask("POST", "/predict", content=chunks(), headers=JSON))
    assert "content-length" not in chunked.request.headers
    assert "more than 100 bytes" in refused(chunked, 413)
    assert chunked.headers["connection"] == "close"
    endless = own.raw("/predict", b"a" * 5000)
    assert endless.status_code == 413
    announced = asyncio.run(
        own.ask("POST", "/predict", content=b"{}", headers=JSON | {"content-length": "9" * 5000})
    )
    assert "more than 100 bytes" in refused(announced, 413)


def test_a_body_that_is_too_slow_is_refused(server, refused):
    async def slow():
        yield b'{"texts": '
        await asyncio.sleep(30)
        yield b'["a"]}'

    own = server(seconds=0.2)
    response = asyncio.run(own.ask("POST", "/predict", content=slow(), headers=JSON))
    assert "did not arrive in time" in refused(response, 408)


def test_a_client_that_leaves_while_it_sends_is_counted(server):
    own, sent = server(), []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
    scope |= {"query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http"}
    asyncio.run(own.guard(scope, receive, send))
    assert sent[0]["status"] == 499
