"""Draw the registered pipelines: a MkDocs hook that turns ``<!-- pipeline: NAME -->`` into an SVG.

Nodes of one stage (a namespace inside the pipeline's own) share a box; a node outside of all stages
has a box of its own. An arrow means that a box reads what another has written; an arrow that
follows from others is left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

MARKER = re.compile(r"<!-- pipeline: (\w+) -->")
WIDTH, GAP, LINE, PADDING = 300, 56, 19, 12  # pixels


@dataclass
class Box:
    """A stage: its nodes, what it reads from other boxes and what it writes."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)

    def feeds(self, other: Box) -> bool:
        """Whether the other box reads something that this one writes."""
        return not self.writes.isdisjoint(other.reads)

    @property
    def lines(self) -> list[str]:
        """The names of its nodes; none if they would only repeat the box's own."""
        names = [readable(node.short_name) for node in self.nodes]
        return [] if names == [self.name] else names

    @property
    def height(self) -> int:
        """Pixels."""
        return 2 * PADDING + LINE * (1 + len(self.lines))


def readable(name: str) -> str:
    """Return a name without its namespace, in words."""
    return name.rpartition(".")[2].replace("_", " ")


def boxes_of(name: str, pipeline: Pipeline) -> list[Box]:
    """Return the boxes of a pipeline, each after those that it reads from.

    Raises:
        CycleError: two stages read from each other, so that neither comes first.
    """
    boxes: dict[str, Box] = {}
    for node in pipeline.nodes:
        stage = (node.namespace or "").removeprefix(name).strip(".").partition(".")[0]
        title = readable(stage or node.short_name)
        box = boxes.setdefault(title, Box(title))
        box.nodes.append(node)
        box.reads.update(node.inputs)
        box.writes.update(node.outputs)
    needed = {
        title: [other.name for other in boxes.values() if other is not box and other.feeds(box)]
        for title, box in boxes.items()
    }
    return [boxes[title] for title in TopologicalSorter(needed).static_order()]


def arrows(boxes: list[Box]) -> list[tuple[int, int]]:
    """Return which box hands on to which later one, without what follows from other arrows."""
    after: dict[int, set[int]] = defaultdict(set)  # of each box, all that depend on it
    kept = []
    for start in reversed(range(len(boxes))):
        for end in range(start + 1, len(boxes)):
            if boxes[start].feeds(boxes[end]) and end not in after[start]:
                kept.append((start, end))
                after[start] |= {end} | after[end]
    return sorted(kept)


def rows_of(boxes: list[Box], edges: list[tuple[int, int]]) -> list[list[int]]:
    """Place every box one row below the lowest that it reads from."""
    row = [0] * len(boxes)
    for start, end in edges:  # sorted, and boxes only depend on earlier ones
        row[end] = max(row[end], row[start] + 1)
    return [[box for box in range(len(boxes)) if row[box] == r] for r in range(max(row) + 1)]


def svg(name: str, pipeline: Pipeline) -> str:
    """Draw a pipeline."""
    boxes = boxes_of(name, pipeline)
    edges = arrows(boxes)
    rows = rows_of(boxes, edges)
    columns = max(map(len, rows))
    width = columns * WIDTH + (columns - 1) * GAP
    places: dict[int, tuple[float, float]] = {}  # middle, top
    top = 1.0
    for row in rows:
        left = (width - len(row) * WIDTH - (len(row) - 1) * GAP) / 2
        for number, box in enumerate(row):
            places[box] = (left + number * (WIDTH + GAP) + WIDTH / 2, top)
        top += max(boxes[box].height for box in row) + GAP
    height = top - GAP + 1
    head = f"head-{name}"
    parts = [
        *(_arrow(places[s], boxes[s].height, places[e], head) for s, e in edges),
        *(part for index, box in enumerate(boxes) for part in _drawn(box, *places[index])),
    ]
    label = f"The pipeline {name}: " + ", then ".join(box.name for box in boxes)
    return (
        f'<svg class="pipeline" role="img" aria-label="{escape(label)}" '
        f'viewBox="-1 0 {width + 2:g} {height:g}" style="max-width: {width + 2:g}px" '
        'xmlns="http://www.w3.org/2000/svg"><defs>'
        f'<marker id="{head}" viewBox="0 0 8 8" refX="7" '
        'refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z"/></marker></defs>{"".join(parts)}</svg>'
    )


def _drawn(box: Box, middle: float, top: float) -> Iterator[str]:
    written = ", ".join(sorted(readable(name) for name in box.writes))
    yield (
        f'<g><title>{escape(box.name)} writes: {escape(written)}</title><rect x="'
        f'{middle - WIDTH / 2:g}" y="{top:g}" width="{WIDTH}" height="{box.height}" rx="6"/>'
    )
    for number, line in enumerate([box.name, *box.lines]):
        kind = "stage" if number == 0 else "step"
        y = top + PADDING + LINE * (number + 0.75)
        yield f'<text class="{kind}" x="{middle:g}" y="{y:g}">{escape(line)}</text>'
    yield "</g>"


def _arrow(start: tuple[float, float], height: int, end: tuple[float, float], head: str) -> str:
    (x0, top), (x1, y1) = start, end
    y0 = top + height
    bend = (y0 + y1) / 2
    curve = f"M{x0:g} {y0:g} C{x0:g} {bend:g} {x1:g} {bend:g} {x1:g} {y1:g}"
    return f'<path class="arrow" d="{curve}" marker-end="url(#{head})"/>'


@cache
def registered() -> Mapping[str, Pipeline]:
    """Return the project's pipelines by name."""
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(Path(__file__).parents[1])
    from anomalous_sound.pipeline_registry import register_pipelines

    return register_pipelines()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page by pictures (called by MkDocs)."""
    return MARKER.sub(lambda match: svg(match[1], registered()[match[1]]), markdown)
