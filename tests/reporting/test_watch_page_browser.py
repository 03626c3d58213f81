"""The page of a watch, with real clicks in headless Chromium."""

import pytest
from chromium import CHROMIUM
from clips_to_show import PAGE, SECONDS
from watch_to_show import page_of_watch

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

AUDIO = "document.querySelector('#clip-1 audio')"
LONG = "/var/recordings/" + "a_folder_without_a_blank/" * 8


@pytest.fixture
def opened(browser, tmp_path):
    """Return a browser with the page in it."""

    def open_page(width=1400):
        file = tmp_path / "watch.html"
        told = [("2026-03-14T02:15:01+01:00", f"ALARM: {LONG}b.wav")]
        file.write_text(page_of_watch(place=LONG, happened=told), encoding="utf-8")
        browser.open(file.as_uri(), width=width, height=900)
        browser.until(f"{AUDIO}.readyState > 0")
        return browser

    return open_page


def test_an_alarm_can_be_heard_from_just_before_its_event(opened):
    browser = opened()
    assert browser.until(f"{AUDIO}.currentTime") == pytest.approx(2.0 - PAGE.lead_s, abs=0.05)
    assert browser.value(f"{AUDIO}.duration") == pytest.approx(SECONDS, abs=0.01)
    browser.click("#clip-1 button[data-seek]")
    browser.until(f"!{AUDIO}.paused && {AUDIO}.currentTime > 2.1")
    browser.value(f"{AUDIO}.pause()")
    browser.click("#clip-1 svg.deviation", at=(0.25, 0.5))
    assert browser.value(f"{AUDIO}.currentTime") == pytest.approx(0.25 * SECONDS, abs=0.02)


def test_only_the_clips_of_alarms_can_be_shown(opened):
    browser = opened()
    shown = (
        "[...document.querySelectorAll('article.clip')]"
        ".filter((clip) => clip.offsetParent !== null).map((clip) => clip.id)"
    )
    assert browser.value(shown) == ["clip-1", "clip-2"]
    browser.value("document.querySelector('select[name=alarm]').focus()")
    browser.press("ArrowDown")  # no
    browser.until("document.querySelector('output').textContent === '1 of 2 clips'")
    assert browser.value(shown) == ["clip-2"]
    browser.press("ArrowDown")  # yes
    browser.until(f"JSON.stringify({shown}) === '[\"clip-1\"]'")


def test_on_a_telephone_there_is_room_for_what_happened(opened):
    browser = opened(400)
    widths = "[...document.querySelectorAll('.happened tbody td')].map((one) => one.offsetWidth)"
    time, what = browser.value(widths)
    assert what > 2 * time


@pytest.mark.parametrize("width", [1400, 400])
def test_long_names_fit(opened, width):
    browser = opened(width)
    assert browser.value("document.documentElement.scrollWidth") <= width


def test_nothing_is_fetched(opened):
    browser = opened()
    fetched = browser.value("performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []
