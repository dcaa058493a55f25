"""The page in headless Chromium, opened from the disk as a reader opens it."""

import itertools

import pytest
from chromium import IN_CHROMIUM
from report import rivals_sample, sample, test_attention, test_training

from leanformer.report import write_comparison, write_report
from leanformer.report.attention import write_page
from leanformer.report.training import write_training_page

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of the sample records, written once."""
    folder = tmp_path_factory.mktemp("pages")
    names = ("full", "missed", "unfinished", "minimal")
    events = {name: getattr(sample, name)() for name in names}
    events["rivals"] = rivals_sample.rivals()
    records = {name: sample.write(folder / f"{name}.jsonl", one) for name, one in events.items()}
    made = {name: write_report(path, folder / f"{name}.html") for name, path in records.items()}
    attention = [
        test_attention.event(name, length, ratio)
        for name in ("dense", "sliding-window")
        for length, ratio in ((512, 1.5), (1024, 0.5))
    ]
    drawn = {"event": "picture", "name": "sliding-window", "picture": [[1.0, 0.0], [0.0, 1.0]]}
    made["attention"] = write_page(test_attention.record(folder, [*attention, drawn]))
    made["training"] = write_training_page(test_training.record(folder, test_training.EVENTS))
    made["compare"] = write_comparison(records["full"], records["missed"], folder / "compare.html")
    return made


@pytest.fixture
def visit(browser, pages):
    """Opens a page, and at the end asserts that it complained of nothing and fetched nothing."""
    troubles = []
    opened = []

    def go(name="full", width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(180_000)  # a busy machine is not a failure
        address = pages[name].as_uri()
        page.on(
            "console",
            lambda message: (
                troubles.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url == address or request.url.startswith(("data:", "blob:"))
                else troubles.append(request.url)
            ),
        )
        page.goto(address)
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.wait_for_timeout(100)
        page.close()
    assert troubles == []


@pytest.mark.parametrize(
    "name",
    ["full", "missed", "unfinished", "minimal", "compare", "attention", "rivals", "training"],
)
def test_it_renders_and_nothing_overflows(visit, name):
    page = visit(name)
    assert page.locator("h1").inner_text()
    drawn = page.locator(".chart .main-svg").count()
    assert (drawn > 0) == (name not in ("minimal", "compare"))
    assert page.evaluate("window.hacked") is None
    for width in (1280, 380):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_gets_charts_that_fit(visit):
    page = visit(width=380)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert 0 < page.locator("#front-chart .main-svg").first.bounding_box()["width"] <= 360


def test_hovering_a_mark_names_the_candidate(visit):
    page = visit()
    page.locator("#front-chart").scroll_into_view_if_needed()
    box = page.locator("#front-chart .scatterlayer .trace .points path").last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator("#front-chart .hoverlayer .hovertext").first
    label.wait_for(timeout=5000)
    assert "L3-h50-f50" in label.text_content()
    assert "2.6× teacher · OpenVINO int8" in label.text_content()


def test_the_axis_and_the_split_can_be_chosen(visit):
    page = visit()
    title = page.locator("#front-chart .xtitle")
    assert "one thread per million texts" in title.text_content()
    page.get_by_label("Throughput", exact=True).check()
    assert "Texts per second" in title.text_content()
    assert page.locator("#better").inner_text() == "Better is up and right"
    page.get_by_label("Test", exact=True).check()
    assert "test split" in page.locator("#front-chart .ytitle").text_content()


def test_money_follows_the_price_and_what_is_not_drawn_is_named(visit):
    page = visit("rivals")
    ticks = page.locator("#front-chart .xtick text")
    hour = ticks.filter(has_text="1 h")
    assert hour.text_content() == "1 h0.04"
    page.fill("#price", "0.5")
    assert hour.text_content() == "1 h0.5"
    page.fill("#price", "")
    assert hour.text_content() == "1 h"
    page.get_by_label("Throughput", exact=True).check()
    assert not page.locator("#price").is_visible()
    assert "Below 90 %: L1-h25-f25 (86.4 %)." in page.locator("#missing").inner_text()
    page.get_by_label("Test", exact=True).check()
    assert page.locator("#missing").inner_text() == ""


def test_marks_and_their_names_stay_inside_the_chart(visit):
    page = visit("rivals")
    for width in (1280, 380):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        frame = page.locator("#front-chart").bounding_box()
        for kind in (".points path", ".xtick text", ".ytick text", ".xtitle", ".annotation-text"):
            for mark in page.locator(f"#front-chart {kind}").all():
                box = mark.bounding_box()
                assert frame["x"] <= box["x"]
                assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        ticks = [t.bounding_box() for t in page.locator("#front-chart .xtick text").all()]
        ticks.sort(key=lambda box: box["x"])
        for left, right in itertools.pairwise(ticks):
            assert left["x"] + left["width"] < right["x"]


def test_a_click_in_the_legend_hides_what_it_names(visit):
    page = visit()
    button = page.locator("figure:has(#front-chart) .legend button", has_text="Chosen: L3-h50-f50")
    marks = page.locator("#front-chart .scatterlayer .points path")
    before = marks.count()
    button.click()
    assert marks.count() == before - 1
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert marks.count() == before


def test_a_click_on_a_heading_sorts(visit):
    page = visit()
    heading = page.locator("table.systems thead th", has_text="Latency 32")
    index = heading.evaluate("cell => cell.cellIndex")

    def column():
        cells = page.locator(f"table.systems tbody tr td:nth-child({index + 1})")
        return [float(text.split()[0]) for text in cells.all_inner_texts() if text[0].isdigit()]

    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column() == sorted(column(), reverse=True)
    heading.locator("button").click()
    assert column() == sorted(column())
    assert page.locator("table.systems tbody tr").last.inner_text().startswith("L2-h25-f25")


def test_disagreements_can_be_filtered(visit):
    page = visit()
    rows = page.locator("#texts tbody tr:visible")
    assert rows.count() == 7
    page.fill("#filter", "sister transfer")
    assert rows.count() == 1
    assert page.locator("#filtered").inner_text() == "1 of 7"
    page.fill("#filter", "")
    page.get_by_label("Student", exact=True).check()
    assert rows.count() == 2


def test_dark_and_light(visit):
    page = visit()
    background = "getComputedStyle(document.body).backgroundColor"
    text = "getComputedStyle(document.querySelector('#front-chart .xtitle')).fill"
    light, light_text = page.evaluate(background), page.evaluate(text)
    page.locator("#theme").click()
    assert page.evaluate(background) != light
    assert page.evaluate(text) != light_text
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"
    page.locator("#theme").click()
    assert page.evaluate(background) == light
    assert visit(scheme="dark").evaluate(background) != light


def test_the_command_can_be_copied(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("[data-copy]")
    button.click()
    page.wait_for_function("document.querySelector('[data-copy]').textContent !== 'Copy'")
    copied = page.evaluate("navigator.clipboard.readText().catch(() => '') ") or page.evaluate(
        "getSelection().toString()"
    )
    assert copied == sample.run()["command"]


def test_a_chart_in_a_closed_block_is_drawn_when_it_opens(visit):
    page = visit()
    block = page.locator("#steps details").first
    block.locator("summary").click()
    block.locator("summary").click()
    assert block.locator(".chart .main-svg").count() > 0
