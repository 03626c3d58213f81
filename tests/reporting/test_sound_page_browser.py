"""The page that can be heard, with real clicks in headless Chromium."""

import io

import numpy as np
import pandas as pd
import pytest
from chromium import CHROMIUM
from clips_to_show import PAGE, SECONDS, page
from PIL import Image

from anomalous_sound.reporting.sound_page import PageFigure

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

AUDIO = "document.querySelector('#clip-1 audio')"
CURSOR = "Number(document.querySelector('#clip-1 .cursor').getAttribute('x1'))"


@pytest.fixture
def opened(browser, tmp_path):
    """Return a browser with the page in it."""

    def open_page(width=1400, dark=False, **changed):
        file = tmp_path / "report.html"
        file.write_text(page(**changed), encoding="utf-8")
        browser.open(file.as_uri(), width=width, height=900, dark=dark)
        browser.until(f"{AUDIO}.readyState > 0")
        return browser

    return open_page


def test_the_player_stands_before_the_marked_second(opened):
    browser = opened()
    assert browser.until(f"{AUDIO}.currentTime") == pytest.approx(2.0 - PAGE.lead_s, abs=0.05)
    assert browser.value(f"{AUDIO}.duration") == pytest.approx(SECONDS, abs=0.01)
    assert browser.value("document.querySelector('#clip-2 audio').currentTime") == 0


def test_a_click_on_an_event_plays_it_and_the_cursor_follows(opened):
    browser = opened()
    assert browser.value(f"{AUDIO}.paused")
    browser.click("#clip-1 button[data-seek]")
    browser.until(f"!{AUDIO}.paused && {AUDIO}.currentTime > 2.1")
    browser.until(f"{CURSOR} > 2.1")
    # the other player stops this one
    browser.value("document.querySelector('#clip-2 audio').play()")
    browser.until(f"{AUDIO}.paused")
    browser.value("document.querySelector('#clip-2 audio').pause()")


@pytest.mark.parametrize("kind", ["spectrogram", "deviation"])
def test_a_click_on_a_picture_goes_there(opened, kind):
    browser = opened()
    browser.click(f"#clip-1 svg.{kind}", at=(0.25, 0.5))
    assert browser.value(f"{AUDIO}.currentTime") == pytest.approx(0.25 * SECONDS, abs=0.02)
    browser.until(f"Math.abs({CURSOR} - {0.25 * SECONDS}) < 0.02")
    # on a box, too
    browser.click(f"#clip-1 svg.{kind}", at=(0.6, 0.1))
    assert browser.value(f"{AUDIO}.currentTime") == pytest.approx(0.6 * SECONDS, abs=0.02)


def test_filters_hide_the_other_clips(opened):
    browser = opened()
    shown = (
        "[...document.querySelectorAll('article.clip, .others tbody tr')]"
        ".filter((clip) => clip.offsetParent !== null)"
        ".map((clip) => clip.querySelector('.name').textContent)"
    )
    everything = ["b.wav", "c.wav", "a.wav", "e.wav", "d.wav"]
    assert browser.value(shown) == everything
    browser.value("document.querySelector('select[name=decision]').focus()")
    browser.press("ArrowDown")
    browser.until("document.querySelector('output').textContent === '1 of 5 clips'")
    assert browser.value(shown) == ["b.wav"]
    browser.press("ArrowUp")
    browser.value("document.querySelector('select[name=machine_id]').focus()")
    browser.press("ArrowDown")
    browser.until("document.querySelector('output').textContent === '2 of 5 clips'")
    assert browser.value(shown) == ["a.wav", "d.wav"]


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_keeps_to_the_colours_asked_for(opened, width, dark):
    browser = opened(width, dark)
    assert browser.value("document.documentElement.scrollWidth") <= width
    picture = np.asarray(Image.open(io.BytesIO(browser.picture())).convert("L"))
    assert picture.shape == (900, width)
    assert (np.median(picture) < 60) == dark


def test_nothing_was_refused_and_nothing_fetched(opened):
    browser = opened()
    fetched = browser.value("performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []


# with words as long as those of real tables
WIDE = {
    "calibration": pd.DataFrame(
        {
            "strategy": ["validation mean + k std. dev."],
            "the promise holds": ["if scores are normally distributed and there are many clips"],
            **{f"number {number}": [0.01667] for number in range(9)},
            "rate": ["0.836 (0.765 to 0.898)"],
        }
    ),
    "rejected_clips": pd.DataFrame(
        {"clip_id": ["a_long_name_" * 6 + ".wav"], "reason": ["it cannot be decoded " * 8]}
    ),
}
TABLES = "[...document.querySelectorAll('.scroll')].filter((one) => one.offsetParent)"


@pytest.mark.parametrize("dark", [False, True])
def test_paper_is_white_and_has_no_players(opened, dark):
    browser = opened(700, dark)
    browser.as_printed(dark=dark)
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    map_filter = "getComputedStyle(document.querySelector('svg.deviation image')).filter"
    assert browser.value(map_filter) == "none"
    assert browser.value(f"{AUDIO}.offsetParent") is None
    shown = "document.querySelector('#clip-1 .seeks').innerText.trim()"
    assert browser.value(shown) == ""  # the words before it say when it is


def test_no_table_is_cut_off_on_paper(opened):
    browser = opened(680, **WIDE)  # A4 between its margins
    browser.as_printed()
    browser.value("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.value(f"{TABLES}.length") == 3
    assert browser.value(f"{TABLES}.every((one) => one.scrollWidth <= one.clientWidth)")
    assert browser.value("document.documentElement.scrollWidth") <= 680


def test_what_is_folded_on_a_screen_is_open_on_paper(opened):
    browser = opened(**WIDE)
    folded = "document.querySelectorAll('details:not([open])').length"
    assert browser.value(folded) == 2
    browser.value(
        f"window.addEventListener('beforeprint', () => {{ window.left = {folded}; }}); undefined"
    )
    assert browser.printed().startswith(b"%PDF")
    assert browser.until("window.left === 0")
    browser.until(f"{folded} === 2")


def test_two_clips_have_room_on_a_sheet(opened):
    browser = opened(680)
    browser.as_printed()
    heights = browser.value(
        "[...document.querySelectorAll('article.clip')].map((one) => one.offsetHeight)"
    )
    assert len(heights) == 3
    assert 2 * max(heights) < 26.9 / 2.54 * 96  # A4 is 29.7 cm high


@pytest.mark.parametrize("width", [1400, 400])
def test_numbers_of_a_table_are_not_torn(opened, width):
    browser = opened(width, **WIDE)
    texts = (
        "[...document.querySelectorAll('#thresholds ~ .scroll td.short')].map((one) => {"
        " const range = document.createRange(); range.selectNodeContents(one);"
        " return range.getClientRects().length; })"
    )
    assert set(browser.value(texts)) == {1}
    assert browser.value("document.documentElement.scrollWidth") <= width


def test_an_axis_names_its_unit(opened):
    browser = opened()
    ticks = (
        "[...document.querySelectorAll('#clip-1 .hertz')[0].children].map((one) => one.innerText)"
    )
    assert browser.value(ticks) == ["4 kHz", "2 kHz", "1 kHz", "500 Hz", "100 Hz"]


@pytest.mark.parametrize("width", [1400, 400])
def test_ticks_stand_on_one_line_within_the_page(opened, width):
    browser = opened(width)
    boxes = browser.value(
        "[...document.querySelectorAll('#clip-1 .hertz span')].map((one) => {"
        " const box = one.getBoundingClientRect(); return [box.left, box.height]; })"
    )
    assert boxes and all(left >= 0 and height < 25 for left, height in boxes)


def test_a_figure_stays_legible_on_a_telephone(opened):
    file = io.BytesIO()
    Image.new("L", (1000, 600)).save(file, format="PNG")
    browser = opened(400, figures=[PageFigure("ROC curve", "a curve", file.getvalue())])
    figure = "document.querySelector('img.figure')"
    assert browser.value(f"{figure}.clientWidth") == 640
    assert browser.value("document.documentElement.scrollWidth") <= 400  # it scrolls by itself
    browser.open(browser.value("location.href"), width=1400, height=900)
    assert browser.value(f"{figure}.clientWidth") == 1000
