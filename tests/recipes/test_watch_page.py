"""The page about searches and runs in headless Chromium."""

import os
import shutil
import threading

import pytest

from recipes.watch.reading import as_metrics
from recipes.watch.report import report
from recipes.watch.server import ADDRESS, Server
from recipes.watch.state import State
from tests.recipes import made_up_searches as made_up

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
SHOTS = os.environ.get("WATCH_SCREENSHOTS")  # a folder, to look at what the tests have seen


@pytest.fixture(scope="module")
def browser():
    """A context of Chromium, whose pages share the compiled code of plotly.js."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is installed ({', '.join(NAMES)})")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        yield chromium.new_context()
        chromium.close()


@pytest.fixture(scope="module")
def server():
    """The server of all pages, each of which sets its state."""
    server = Server((ADDRESS, 0), State([]))
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser, server):
    """Open the page about directories, or a file; it must cause no errors or foreign requests."""
    problems, pages = [], []

    def open_page(*paths, file=None, shot):
        start = f"http://{ADDRESS}:{server.server_port}/" if file is None else f"file://{file}"
        server.state = State(list(paths), every=0)
        page = browser.new_page()
        pages.append(page)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")

        def note(request):
            if not request.url.startswith((start, "data:", "blob:")):
                problems.append(request.url)

        page.on("request", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.goto(start)
        page.wait_for_selector("#summary .value")
        picture(page, shot)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert problems == []


def picture(page, name):
    """Write a screenshot of the whole page if somebody wants to look at it."""
    if SHOTS:
        page.wait_for_timeout(300)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def overflow(page):
    """Return by how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def cut(page):
    """Return the texts of figures that lie outside of their figure."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.figure')].flatMap((figure) => {
            const box = figure.getBoundingClientRect();
            const right = box.left + figure.scrollWidth;
            return [...figure.querySelectorAll('svg text')].filter((text) => {
              const own = text.getBoundingClientRect();
              return own.width && (own.left < box.left - 1 || own.right > right + 1
                || own.top < box.top - 1 || own.bottom > box.bottom + 1);
            }).map((text) => `${figure.id}: ${text.textContent}`);
        })"""
    )


LONG = {"act": "options.activation_of_a_stage_with_a_very_long_name", "lr": "<b>rate</b>&amp;"}


def test_a_running_search_is_shown_and_updated(visit, tmp_path):
    search = made_up.write_search(
        tmp_path / ("s-" + 20 * "long"), 12, running=(10, 11), failed=(3,), stopped=(4, 5),
        same=(6,), wanted=20, workers=3, error="<script>document.title = 'run'</script>",
        rename=LONG,
    )  # fmt: skip
    page = visit(search, shot="running")
    assert page.locator(".panel").count() == 11  # without the repeated one
    assert "10 of 20" in page.inner_text("#summary")
    assert "2 running" in page.inner_text("#summary")
    assert page.locator("#now tbody tr").count() == 3
    assert page.title().startswith("s-longlong")
    failed = page.locator(".panel.is-failed")
    assert failed.inner_text().split("\n")[-1].startswith("failed: <script>document")
    assert (overflow(page), cut(page)) == (0, [])

    failed.click()
    page.wait_for_selector("#recipe")
    assert "<script>document.title = 'run'</script>" in page.inner_text("#drawer")
    page.keyboard.press("Escape")
    assert page.locator("#drawer").is_hidden()

    page.locator("#compare").scroll_into_view_if_needed()
    box = page.locator("#compare .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.8 * box["height"], steps=3)
    page.mouse.up()
    zoomed = page.evaluate("at('compare').layout.xaxis.range")
    assert 1.5 < zoomed[0] < 4 < zoomed[1] < 8

    page.locator('.panel[data-key="s0:10"]').click()
    page.wait_for_selector("#log")
    assert page.inner_text("#log").endswith("epoch 4/8: loss 1.0\n")
    folder = search / "trials" / "10"
    rows = as_metrics((folder / "metrics.csv").read_text())
    (search / "trials" / "10.log").write_text("epoch 5/8\n")
    made_up.write_metrics(folder, [*rows, {**rows[-1], "epoch": 5, "val_accuracy": 0.9999}])
    page.wait_for_selector("#log:text-is('epoch 5/8')")
    assert "running, 5 of 8 epochs" in page.inner_text("#drawer")
    assert "0.9999" in page.inner_text('.panel[data-key="s0:10"]')
    assert page.evaluate("at('compare').data.some((line) => line.y.includes(0.9999))")
    assert page.evaluate("at('compare').layout.xaxis.range") == zoomed

    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 375, "height": 900})
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)  # until the figures have the new width
    picture(page, "narrow")
    assert (overflow(page), cut(page)) == (0, [])
    assert "<b>rate</b>&amp;=" in page.inner_text("#summary")
    assert page.locator("#parallel text").get_by_text("<b>rate</b>&amp;", exact=True).count()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(17, 20, 26)"


def test_200_trials_are_usable(visit, tmp_path):
    search = made_up.write_search(
        tmp_path / "s", 200, running=(198,), failed=(5,), epochs=20, logs=False
    )
    page = visit(search, shot="200")
    assert page.locator(".panel").count() == 28
    page.click("#panels-more")
    assert page.locator(".panel").count() == 200
    page.select_option("#panels-controls select >> nth=0", "failed")
    assert page.locator(".panel").count() == 1
    assert page.locator("#parallel .scatterlayer .trace").count() == 198
    page.locator("#parallel").scroll_into_view_if_needed()
    box = page.locator("#parallel .nsewdrag").bounding_box()
    x = box["x"] + box["width"] - 8  # the last axis, of the score
    page.mouse.move(x, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(x - 20, box["y"] + 50, steps=3)
    page.mouse.up()
    page.wait_for_selector("#brushed button")
    chosen = int(page.inner_text("#brushed span").split()[0])
    assert 1 <= chosen < 100
    assert page.locator("#table tbody tr").count() == chosen
    page.click("#brushed button")
    assert page.locator("#table tbody tr").count() == 200
    assert (overflow(page), cut(page)) == (0, [])


def test_runs_are_compared_in_one_file(visit, tmp_path):
    made_up.write_search(tmp_path / "s", 7, coarse=4, logs=False)
    for i, act in enumerate(("relu", "elu", "gelu", "tanh", "swish")):
        made_up.write_run(tmp_path / "runs" / act, act=act, lr=0.02 * (i + 1), epochs=4 + i, seed=0)
    path, _ = report([tmp_path / "runs", tmp_path / "s"], tmp_path / "report.html")
    page = visit(file=path, shot="report")
    page.click("#tabs >> text=s")
    assert page.inner_text("#table").count("finished") == 3
    assert "Best validation accuracy of stage 2" in page.inner_text("#summary")
    assert "the best lr is at the upper end" in page.inner_text("#stages")
    page.click("#stages-controls >> text=Stage 1")
    assert page.inner_text("#table").count("finished") == 4
    page.click("#tabs >> text=Runs")
    assert page.locator("#compare .scatterlayer .trace").count() == 20
    table = page.inner_text("#differences")
    assert all(word in table for word in ("swish", "0.08", "test accuracy"))
    assert "seed" not in table.split("\n")[0]
    page.locator("#table tbody tr >> nth=0").locator("input").uncheck()
    assert page.locator("#differences tbody tr").count() == 4
    page.locator("#table tbody tr >> nth=1").click()
    assert "recipe = Recipe(" in page.inner_text("#recipe")
    assert (overflow(page), cut(page)) == (0, [])
