"""What is generated for the chart and from it is what its sources say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

from cases.charts import Rendered
from nodeproof_dev.chart import manifests, packaging
from nodeproof_dev.helm import CHART, Helm

RENEW = "run `make manifests`"


def metadata() -> dict[str, str]:
    return dict(yaml.safe_load((CHART / "Chart.yaml").read_text()))


def test_the_charts_crds_are_those_of_the_project() -> None:
    assert manifests.stale_crd_copies() == [], RENEW


def test_deploy_is_what_the_chart_makes_of_its_defaults(helm: Helm) -> None:
    assert [each.path.name for each in manifests.stale_deployed(helm)] == [], RENEW


def test_a_file_that_no_template_makes_has_to_go(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("")
    found = manifests.stale({}, tmp_path.glob("*"))
    assert found == [manifests.Stale(tmp_path / "old.yaml", None)]


def test_rendered_crds_differ_by_labels_and_annotations_alone(default: Rendered) -> None:
    for path in manifests.CRDS.glob("*.yaml"):
        written = yaml.safe_load(path.read_text())
        rendered = default.find("CustomResourceDefinition", written["metadata"]["name"])
        assert rendered["spec"] == written["spec"]


def test_chart_and_package_have_one_version(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert {metadata()[key] for key in ("version", "appVersion")} == {project["version"]}


def test_the_catalogues_entry_names_the_crds_that_there_are() -> None:
    stated = yaml.safe_load(metadata()["annotations"]["artifacthub.io/crds"])  # type: ignore[index]  # a mapping in a mapping of strings
    written = [yaml.safe_load(path.read_text()) for path in manifests.CRDS.glob("*.yaml")]
    assert {(each["name"], each["kind"], each["version"]) for each in stated} == {
        (each["metadata"]["name"], each["spec"]["names"]["kind"], version["name"])
        for each in written
        for version in each["spec"]["versions"]
    }


def test_the_archive_is_the_same_each_time_and_renders_the_same(helm: Helm, tmp_path: Path) -> None:
    archives = [packaging.package(helm, tmp_path / name, 1_700_000_000) for name in "ab"]
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert archives[0].name == f"nodeproof-{metadata()['version']}.tgz"
    packed = Helm(helm.binary, chart=archives[0])
    assert packed.template() == helm.template()
