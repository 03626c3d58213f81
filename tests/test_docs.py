"""The site of the documentation builds strictly and needs no network; links lead somewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from kedro.pipeline import Pipeline, node
from support import REPOSITORY

PAGES = [
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").rglob("*.md"),
    *(REPOSITORY / "benchmarks").rglob("*.md"),
    *(REPOSITORY / "experiments").rglob("*.md"),
    *(REPOSITORY / "src").rglob("*.md"),
]
GENERATED = "reference/"  # pages that exist only in the site


def hook(name):
    """Import a MkDocs hook."""
    spec = spec_from_file_location(name, REPOSITORY / "docs" / f"{name}.py")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def same(x, *_):
    """Stand for any node."""
    return x


def anchors_of(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://", GENERATED)):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


class _Sources(HTMLParser):
    """Collect what a browser fetches for a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and "src" in values:
            self.found.append(values["src"])
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_shows_the_pipelines_and_every_room(site):
    from anomalous_sound.pipeline_registry import register_pipelines

    drawn = (site / "how-it-works.html").read_text(encoding="utf-8")
    pictures = re.findall(r"<svg class=\"pipeline\".*?</svg>", drawn, re.DOTALL)
    assert len(pictures) == 2
    pipeline = register_pipelines()["lstm"]
    texts = set(re.findall(r"<text[^>]*>([^<]+)</text>", pictures[0]))
    for wired in pipeline.nodes:
        assert wired.short_name.rpartition(".")[2].replace("_", " ") in texts
    for room in ("decision", "features", "methods", "scoring"):
        assert f"anomalous_sound.{room}." in (site / "reference" / f"{room}.html").read_text()


@pytest.mark.slow
def test_the_site_needs_no_network(site):
    for page in site.rglob("*.html"):
        sources = _Sources()
        sources.feed(page.read_text(encoding="utf-8"))
        assert sources.found, page
        assert not [source for source in sources.found if "//" in source], page


def test_boxes_of_the_picture_are_stages_and_arrows_do_not_repeat_themselves():
    def stage(name, *nodes):
        return Pipeline(nodes, namespace=name, prefix_datasets_with_namespace=False)

    fit = stage("first", node(same, "raw", "a", name="fit"), node(same, "a", "b", name="apply"))
    use = stage("second", node(same, ["a", "b"], "c", name="use"))
    # its first node runs before all of "second", and yet the stage comes after it
    told = stage("last", node(same, "raw", "d", name="list"), node(same, "c", "e", name="tell"))
    pipeline = Pipeline([node(same, "sound", "raw", name="read_it")]) + Pipeline(
        told + use + fit, namespace="lstm", inputs="raw"
    )
    diagram = hook("pipeline_diagram")
    boxes = diagram.boxes_of("lstm", pipeline)
    assert [box.name for box in boxes] == ["read it", "first", "second", "last"]
    assert [box.lines for box in boxes] == [[], ["fit", "apply"], ["use"], ["list", "tell"]]
    # the last stage reads the sound too, but that arrow would say nothing new
    assert diagram.arrows(boxes) == [(0, 1), (1, 2), (2, 3)]
    assert diagram.rows_of(boxes, diagram.arrows(boxes)) == [[0], [1], [2], [3]]
    assert diagram.svg("lstm", pipeline).count("<rect") == 4


def test_boxes_side_by_side():
    parts = [("a", "b"), ("a", "c"), (["b", "c"], "d")]
    pipeline = Pipeline(
        [node(same, reads, writes, name=f"make_{writes}") for reads, writes in parts]
    )
    diagram = hook("pipeline_diagram")
    boxes = diagram.boxes_of("x", pipeline)
    assert diagram.rows_of(boxes, diagram.arrows(boxes)) == [[0, 1], [2]]
