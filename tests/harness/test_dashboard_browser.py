"""The dashboards in a real browser that reaches nothing but this machine."""

import functools
import http.server
import os
import re
import shutil
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import asv_toys
import pytest

playwright = pytest.importorskip("playwright.sync_api")
for _name in ("asv", "jinja2", "matplotlib"):
    pytest.importorskip(_name)

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
SIZES = pytest.mark.parametrize(
    "size", [SMALL_PHONE, PHONE, DESKTOP], ids=["small phone", "phone", "desktop"]
)
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    # Where none is on the path, Playwright knows where systems keep Chrome.
    where = {"executable_path": path} if path else {"channel": "chrome"}
    with playwright.sync_playwright() as driver:
        try:
            started = driver.chromium.launch(args=FLAGS, **where)
        except playwright.Error as error:
            if "CI" in os.environ:
                raise
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """Open pages with the network off; at the end nothing went wrong in them."""
    problems, contexts = [], []

    def route(route):
        url = urlsplit(route.request.url)
        if url.hostname == "127.0.0.1" or url.scheme == "file":
            route.continue_()
        else:
            problems.append(f"asked for {route.request.url}")
            route.abort()

    def note(message):
        if message.type in ("error", "warning"):
            problems.append(message.text)

    def failed(request):
        # The browser itself gives up what it still loads when a page is left.
        if request.failure != "net::ERR_ABORTED":
            problems.append(f"{request.url}: {request.failure}")

    def open_page(url, size=DESKTOP, scheme="light"):
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        context.route("**/*", route)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", failed)
        page.goto(url)
        return page

    yield open_page
    seen = list(problems)
    for context in contexts:
        context.close()
    assert seen == []


def pictures(page):
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return page.evaluate(
        "[...document.images].map(i => [i.currentSrc.split('/').pop(), i.naturalWidth])"
    )


@SIZES
@SCHEMES
def test_the_start_page_shows_its_pictures(open_page, address, size, scheme):
    page = open_page(f"{address}/index.html", size, scheme)
    width = "wide" if size is DESKTOP else "narrow"
    names = [
        f"{plot}-{width}-{scheme}.svg"
        for plot in ("speed", "share", "accuracy", "history")
    ]

    shown = pictures(page)
    assert [name for name, _ in shown] == names
    assert all(natural > 0 for _, natural in shown)


@SIZES
def test_nothing_is_wider_than_the_screen(open_page, address, size):
    page = open_page(f"{address}/index.html", size)
    pictures(page)
    page.get_by_text("Digits as a table").click()

    widths = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1]


def test_light_and_dark_differ(open_page, address):
    colours = "getComputedStyle(document.body).backgroundColor"
    light, dark = (
        open_page(f"{address}/index.html", scheme=scheme).evaluate(colours)
        for scheme in ("light", "dark")
    )

    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(15, 20, 25)")


def test_it_opens_as_a_file(open_page, site):
    page = open_page((site / "index.html").as_uri())

    widths = [natural for _, natural in pictures(page)]
    assert len(widths) == 4
    assert min(widths) > 0


def test_the_keyboard_goes_from_top_to_bottom(open_page, address):
    page = open_page(f"{address}/index.html")
    texts = []
    for _ in range(6):
        page.keyboard.press("Tab")
        texts.append(page.evaluate("document.activeElement.innerText"))

    assert [text.split("\t")[0] for text in texts] == [
        *("Skip to the figures", "Grid of all benchmarks", "List", "Regressions"),
        *("Contender", "Digits as a table"),
    ]


def test_figures_have_headers(open_page, address):
    page = open_page(f"{address}/index.html")
    row = page.get_by_role("row", name=re.compile("^skbn-numba 21.7 ms")).first

    assert row.get_by_role("rowheader").inner_text() == "skbn-numba"
    assert row.get_by_role("cell").count() == 3
    assert page.get_by_role("heading", level=1).inner_text() == "toy benchmarks"
    assert page.get_by_role("img").count() == 4


def test_the_grid_shows_our_benchmarks(open_page, address):
    page = open_page(f"{address}/asv/index.html")
    grid = page.locator("#summarygrid-display")
    for name in asv_toys.BENCHMARKS:
        grid.get_by_text(name.partition(".")[2], exact=True).wait_for()

    page.wait_for_function(
        "n => document.querySelectorAll('#summarygrid-display canvas').length >= n",
        arg=len(asv_toys.BENCHMARKS),
    )
    assert all(painted(page, "#summarygrid-display canvas.flot-base"))


def painted(page, selector):
    """Numbers of pixels that are not empty, for each canvas."""
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector)].map(canvas => {
            const {width, height} = canvas;
            const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
            return data.filter((value, i) => i % 4 == 3 && value > 0).length;
        })""",
        selector,
    )


NEAR = """([selector, colours]) => {
    const canvas = document.querySelector(selector);
    const {width, height} = canvas;
    const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
    return colours.map(([r, g, b]) => {
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
            const far = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g)
                + Math.abs(data[i + 2] - b);
            if (data[i + 3] > 200 && far < 12) count += 1;
        }
        return count;
    });
}"""


def legend_of(page):
    """Labels of a graph and their colours as numbers."""
    page.wait_for_selector("#main-graph .legendLabel")
    labels = page.locator("#main-graph .legendLabel").all_inner_texts()
    colours = page.evaluate(
        "[...document.querySelectorAll('#main-graph .legendColorBox > div > div')]"
        ".map(box => getComputedStyle(box).borderTopColor)"
    )
    return labels, [tuple(map(int, re.findall(r"\d+", colour))) for colour in colours]


def test_a_graph_draws_a_line_for_each_contender(open_page, address):
    page = open_page(f"{address}/index.html")
    page.get_by_role("link", name="fit, 400,000 × 100", exact=True).click()
    labels, colours = legend_of(page)

    assert [re.findall(r"contender-([^;]+)", label) for label in labels] == [
        [name] for name in asv_toys.CONTENDERS
    ]
    assert len(set(colours)) == len(asv_toys.CONTENDERS)
    counts = page.evaluate(NEAR, ["#main-graph canvas.flot-base", colours])
    drawn = dict(zip(asv_toys.CONTENDERS, counts, strict=True))
    # The last contender has one point, the others a line over the whole width.
    assert drawn.pop("ondil") > 0
    assert all(count > 100 for count in drawn.values()), drawn


@contextmanager
def requests_of(page):
    seen = []
    page.on("request", lambda request: seen.append(request.url))
    yield seen
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("part", ["", "#summarylist", "#regressions"])
def test_asv_finds_all_that_it_loads(open_page, address, part):
    page = open_page("about:blank")
    with requests_of(page) as seen:
        page.goto(f"{address}/asv/index.html{part}")

    assert sum("/asv/vendor/" in url for url in seen) == 10
    assert page.title() == "airspeed velocity of an unladen toy"
    assert "error.html" not in page.url


def test_the_way_back(open_page, address):
    page = open_page(f"{address}/asv/index.html")
    page.wait_for_load_state("networkidle")
    page.get_by_role("link", name="Start page").click()

    assert page.title() == "toy benchmarks"
