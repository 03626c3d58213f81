"""The catalog is complete: nothing that a pipeline reads or writes is unregistered."""

import re

import pytest
from kedro.io import MemoryDataset
from support import Project

LAYER = re.compile(r"0[1-8]_[a-z_]+")


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    with Project(tmp_path_factory.mktemp("catalog")).session() as session:
        yield session.load_context()


@pytest.fixture(scope="module")
def pipelines(context):
    from kedro.framework.project import pipelines

    return dict(pipelines)


def test_the_public_pipelines_are_there(pipelines):
    public = {"lstm", "gru", "autoencoder", "compare", "explore", "results", "score", "__default__"}
    assert public <= set(pipelines)
    assert pipelines["__default__"].nodes == pipelines["lstm"].nodes


def test_every_dataset_is_registered_with_a_layer(pipelines, context):
    catalog = context.catalog
    seen = 0
    for pipeline in pipelines.values():
        for name in pipeline.datasets():
            if name.startswith("params:"):
                continue
            dataset = catalog.get(name)
            assert dataset is not None, name
            assert not isinstance(dataset, MemoryDataset), name
            layer = dataset.metadata["kedro-viz"]["layer"]
            assert LAYER.fullmatch(layer), name
            where = dataset._describe().get("filepath") or dataset._describe().get("path")
            if where and not name.endswith(".detector"):  # made of scores, kept with the models
                assert f"/data/{layer}/" in f"/{where}/", name
            seen += 1
    assert seen > 20


def test_data_flows_from_layer_to_layer_and_never_back(pipelines, context):
    """kedro-viz draws no layers at all if two of them form a circle."""
    catalog = context.catalog  # made anew at each access

    def layers(names):
        return [
            catalog.get(name).metadata["kedro-viz"]["layer"]
            for name in names
            if not name.startswith("params:")
        ]

    for pipeline in pipelines.values():
        for node in pipeline.nodes:
            assert max(layers(node.inputs), default="") <= min(layers(node.outputs)), node.name


def test_every_parameter_that_a_node_reads_is_configured(pipelines, context):
    catalog = context.catalog  # made anew at each access
    for pipeline in pipelines.values():
        for name in pipeline.inputs():
            if name.startswith("params:"):
                assert name in catalog


def test_every_node_is_named_by_what_it_does(pipelines):
    for pipeline in pipelines.values():
        for node in pipeline.nodes:
            assert re.fullmatch(r"([a-z_]+\.)*[a-z]+(_[a-z]+)*", node.name), node.name


def test_paths_are_the_catalogs_alone():
    """No module outside datasets/ names a folder of the data."""
    from support import REPOSITORY

    source = REPOSITORY / "src" / "anomalous_sound"
    naming = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"data/0[1-8]_", path.read_text()) and "datasets" not in path.parts
    ]
    # the command line knows no catalog; a test of it holds the two alike
    assert naming == ["command/choice.py"]
