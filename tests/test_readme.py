"""What the front door says is so: methods, commands, profiles, and versions."""

import re
import tomllib

import pytest
import yaml
from support import REPOSITORY

import anomalous_sound

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = "\n".join(re.findall(r"```\n(.*?)```", README, re.DOTALL))
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def table_of_methods():
    from anomalous_sound.methods import methods

    rows = [f"| `{m.name}` | {m.title} | {m.summary} |" for m in methods().values()]
    return "\n".join(["| name | method | what it does |", "|---|---|---|", *rows])


def test_the_table_of_methods_is_the_package_s():
    shown = re.search(r"<!-- methods -->\n(.*)\n<!-- /methods -->", README, re.DOTALL)
    assert shown, "the README has lost its markers"
    assert shown[1] == table_of_methods()


def test_every_pipeline_of_a_command_exists():
    from anomalous_sound.pipeline_registry import register_pipelines

    named = re.findall(r"kedro run --pipelines? (\w+)", COMMANDS)
    assert "lstm" in named
    assert set(named) <= set(register_pipelines())


def test_every_make_target_exists():
    targets = re.findall(r"^make (\w+)", COMMANDS, re.MULTILINE)
    assert {"run", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_every_environment_and_profile_exists():
    for environment in re.findall(r"--env (\w+)", COMMANDS):
        assert (REPOSITORY / "conf" / environment).is_dir()
    values = yaml.safe_load((REPOSITORY / "conf" / "base" / "globals.yml").read_text())
    assert set(re.findall(r"profile=(\w+)", README)) <= set(values["profiles"])


def test_continuous_integration_calls_the_commands_of_the_readme():
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = {step["run"] for step in steps if "run" in step}
    assert commands == {"make run", "make test", "make audit"}
    may_fail = [name for name, job in workflow["jobs"].items() if job.get("continue-on-error")]
    assert may_fail == ["audit"]  # it depends on a database that changes by itself


def test_versions_agree():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    assert str(citation["version"]) == anomalous_sound.__version__
    assert re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)[:2] == [
        "Unreleased",
        anomalous_sound.__version__,
    ]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (REPOSITORY / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["Detector"])
def test_the_library_s_names_can_be_imported(name):
    assert hasattr(anomalous_sound, name)
