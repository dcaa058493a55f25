"""The page at `/` in headless Chromium, on a real server for each kind of folder."""

import asyncio
import os
import threading
from contextlib import contextmanager

import pytest
from chromium import IN_CHROMIUM

from leanformer.serve.server import Server
from leanformer.serve.sockets import address_of, bind

pytestmark = IN_CHROMIUM


@contextmanager
def listening(guard):
    """The address of an application behind a socket, served by a thread of this process."""
    import uvicorn

    config = uvicorn.Config(guard, log_level="warning", access_log=False, lifespan="off")
    with bind("127.0.0.1", 0) as bound:
        own = Server(config, guard)
        thread = threading.Thread(target=lambda: asyncio.run(own.serve(sockets=[bound])))
        address = address_of(bound)
        thread.start()
        try:
            yield address
        finally:
            guard.stopping = True
            thread.join(60)


@pytest.fixture
def visit(browser, server):
    """Opens the page of a folder, and at the end asserts that nothing foreign was fetched."""
    troubles, open_ones = [], []

    def go(name, scheme="light", **settings):
        context = listening(server(name, **settings).guard)
        address = context.__enter__()
        page = browser.new_page(viewport={"width": 900, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(180_000)  # a busy machine is not a failure
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((address, "data:")) else troubles.append(request.url)
            ),
        )
        open_ones.append((context, page))
        page.goto(f"{address}/")
        return page

    def send(page, first, second=None):
        page.fill("#first", first)
        if second is not None:
            page.fill("#second", second)
        page.click("#send")
        page.wait_for_selector("#send:not([disabled])")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/{page.title()}.png", full_page=True)

    go.send = send
    yield go
    for context, page in open_ones:
        page.close()
        context.__exit__(None, None, None)
    assert troubles == []


def test_texts_are_classified_and_errors_are_shown(visit):
    page = visit("classifier")
    page.wait_for_selector("#form:not([hidden])")
    assert page.title() == "classifier"
    assert "classification" in page.inner_text("#about")
    visit.send(page, "the film was slow\n\n  jump <b>&</b> 🎉 ")
    answers = page.locator(".answer")
    assert answers.count() == 2
    assert "jump <b>&</b> 🎉" in answers.nth(1).inner_text()
    assert page.locator("meter").count() == 2
    assert "curl http://127.0.0.1" in page.text_content("#curl")
    visit.send(page, "   \n ")
    assert page.inner_text("#error") == "texts is empty; give at least one text"
    assert page.locator(".answer").count() == 0


def test_spans_are_marked_at_their_characters(visit):
    page = visit("tagger")
    page.wait_for_selector("#form:not([hidden])")
    visit.send(page, "🎉 the film")
    marked = page.locator(".answer").first.evaluate(
        "one => [...one.querySelectorAll('mark')].map(m => m.firstChild.textContent)"
    )
    assert all(one in ("🎉", "the", "film", "🎉 the", "the film", "🎉 the film") for one in marked)


def test_vectors_are_compared(visit):
    page = visit("embedder", scheme="dark")
    page.wait_for_selector("#form:not([hidden])")
    visit.send(page, "the film was slow\njump\nthe film was slow")
    assert page.locator(".answer").count() == 3
    cells = [float(one) for one in page.locator("td").all_inner_texts()]
    assert cells[0] == cells[2] == 1.0
    assert cells[1] == cells[3]


def test_documents_are_reranked(visit):
    page = visit("ranker")
    page.wait_for_selector("#form:not([hidden])")
    assert page.is_visible("#second")
    visit.send(page, "the film", "jump\nthe film was slow\nthe bowl")
    scores = [float(one) for one in page.locator(".value").all_inner_texts()]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_passages_are_found_with_a_key(visit):
    page = visit("index", keys=("secret",))
    page.wait_for_selector("#key-form:not([hidden])")
    page.fill("#key", "wrong")
    page.click("#key-form button")
    page.wait_for_selector("#error:not([hidden])")
    assert "not valid" in page.inner_text("#error")
    page.fill("#key", "secret")
    page.click("#key-form button")
    page.wait_for_selector("#form:not([hidden])")
    assert page.is_hidden("#second")
    visit.send(page, "the lazy dog")
    first = page.locator(".answer").first.inner_text()
    assert "the lazy dog" in first
    assert "fused 1" in first
    assert "secret" not in page.text_content("#curl")
