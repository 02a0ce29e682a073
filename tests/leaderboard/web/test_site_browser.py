"""The site in a real browser, from its files alone: it works, asks nobody for anything, and reads.

Skipped where Playwright's Python package or a Chromium of the system is missing.
"""

import shutil

import numpy as np
import pytest
from support.rows import FakeTask

from starbench.leaderboard.store import board
from starbench.leaderboard.web.build import build_site

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs `browser`")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH"),
    pytest.mark.usefixtures("reproduced_rows"),
]

PHONE, DESK = {"width": 360, "height": 780}, {"width": 1280, "height": 900}
WAIT = 120_000  # ms: a browser beside other work may take long to start


@pytest.fixture
def site(add, make_run, directory, tmp_path):
    """Build a site of three methods on two tracks."""

    class Task(FakeTask):
        nuisance_names = ("Teff", "logg")

        def labels(self, split, start, stop):
            return np.random.default_rng(0).random((stop - start, 2, 2)), None

    probes = {"nuisance_leakage.mlp.Teff": 0.2, "composition_recovery.mlp.Fe/H": 0.9}
    add(
        make_run(seed=0, nearest=0.9, figures=probes),
        make_run(seed=1, nearest=0.8, figures=probes),
        make_run(seed=0, nearest=0.6, task="apogee-giants-snr50"),
        make_run(method="other", nearest=0.3, label_access="pairs", reference="<b>x</b>"),
        make_run(method="third", nearest=0.5, control=True, label_access="oracle"),
    )
    build_site(board.load(directory), tmp_path / "site", get_task=lambda name: Task(name))
    return tmp_path / "site"


@pytest.fixture
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=WAIT
        )
        yield browser
        browser.close()


def open_page(browser, faults, **options):
    """Return a page whose errors and requests beyond files are noted, and these blocked."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(WAIT)
    page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: faults.append(str(error)))

    def only_files(route):
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            faults.append(f"request: {route.request.url}")
            route.abort()

    page.route("**/*", only_files)
    return page


def methods(page):
    return page.locator("#board tbody tr:not(.published) th[scope=row]").all_inner_texts()


def shares(page):
    cells = page.locator("#board tbody td:nth-child(2)").all_inner_texts()
    return [float(text.split()[0]) for text in cells]


def test_the_site_works_from_files_alone(site, browser):
    faults = []
    page = open_page(browser, faults, viewport=DESK)
    page.goto((site / "results.html").as_uri())

    # One track at first; filters and search narrow the table.
    page.wait_for_selector("#filters:visible")
    assert page.locator("#track").input_value() == "apogee-giants"
    assert len(methods(page)) == 3
    page.select_option("#track", "")
    assert len(methods(page)) == 4
    page.select_option("#access", "pairs")
    assert methods(page) == ["other"]
    page.select_option("#access", "")
    page.get_by_label("Search").fill("third")
    assert [text.split()[0] for text in methods(page)] == ["third"]
    page.get_by_label("Search").fill("")

    # A heading sorts by figures, the best first, with the keyboard as with the mouse.
    heading = page.locator("#board thead th").nth(1)
    heading.click()
    # The page sorts a moment after the event, so that it can be seen to work.
    playwright.expect(heading).to_have_attribute("aria-sort", "descending", timeout=WAIT)
    assert shares(page) == sorted(shares(page), reverse=True)
    heading.locator("[tabindex='0']").or_(heading.and_(page.locator("[tabindex='0']"))).focus()
    page.keyboard.press("Enter")
    playwright.expect(heading).to_have_attribute("aria-sort", "ascending", timeout=WAIT)
    assert shares(page) == sorted(shares(page))

    # The address keeps all of it, and restores it: loaded anew, changed, and with nonsense.
    page.select_option("#track", "")
    page.select_option("#access", "nuisance")
    page.get_by_label("Search").fill("fader")
    assert methods(page) == ["fader", "fader"]
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("#filters:visible")
    assert (page.locator("#track").input_value(), page.locator("#access").input_value()) == (
        "", "nuisance",
    )  # fmt: skip
    assert page.get_by_label("Search").input_value() == "fader"
    assert methods(page) == ["fader", "fader"]
    playwright.expect(heading).to_have_attribute("aria-sort", "ascending", timeout=WAIT)
    page.evaluate("location.hash = '#track=apogee-giants-snr50'")
    page.wait_for_function("document.getElementById('track').value === 'apogee-giants-snr50'")
    assert methods(page) == ["fader"]
    page.evaluate("location.hash = '#track=<b>&sort=x:y&access=1'")
    page.wait_for_function("document.getElementById('track').value === 'apogee-giants'")
    assert len(methods(page)) == 3

    # A method's page opens, and its figures load.
    page.select_option("#track", "apogee-giants-snr50")
    page.locator("#board tbody a", has_text="fader").first.click()
    page.wait_for_url("**/methods/fader.html")
    assert page.locator("h1").inner_text() == "fader"
    assert "--seed 1" in page.locator("code.command").all_inner_texts()[1]
    image = page.locator("figure img").first
    image.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('figure img').naturalWidth > 0")
    assert faults == []


def check_table_on_a_phone(page, site):
    """The shares stand beside the methods, and the sign of the order beside its heading."""
    page.goto((site / "results.html").as_uri())
    page.wait_for_selector("#filters:visible")
    for row in page.locator("#board tbody tr").all():
        box = row.locator("td").first.bounding_box()
        assert box["x"] + box["width"] <= PHONE["width"]
    for heading in page.locator("#board thead th").all():
        title = heading.locator(".dt-column-title").bounding_box()
        sign = heading.locator(".dt-column-order").bounding_box()
        assert sign["y"] < title["y"] + title["height"]


@pytest.mark.slow
def test_the_pages_are_accessible_and_fit_narrow_screens(site, browser):
    faults = []
    for scheme, viewport in (("light", DESK), ("dark", PHONE)):
        # The check is put into the page as a script, which the page's own rules would refuse.
        page = open_page(browser, faults, viewport=viewport, color_scheme=scheme, bypass_csp=True)
        for name in ("index", "results", "tracks/apogee-giants", "methods/fader", "methods/third"):
            page.goto((site / f"{name}.html").as_uri())
            found = axe.Axe().run(page, options={"preload": False})  # it would fetch style sheets
            assert found.violations_count == 0, f"{name}: {found.generate_report()}"
            # Wide tables scroll inside their frames, never the page; figures fit it.
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            # A panel at less than its width would have letters of less than ten pixels.
            scales = page.evaluate(
                "[...document.images].map((image) => image.width / image.getAttribute('width'))"
            )
            assert all(scale > 0.95 for scale in scales)
    check_table_on_a_phone(page, site)
    assert faults == []
