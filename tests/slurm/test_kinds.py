"""All kinds of clusters give the same data, bit by bit, and a site can be examined."""

from pathlib import Path
from typing import Any

import pytest

from flows.slurm_doctor import examine_profile
from flows.slurm_profile import load_profile
from infra.cluster.slurm import SlurmCluster

pytestmark = pytest.mark.slurm
KINDS: dict[str, dict[str, Any]] = {
    "slurm": {},
    "dask": {"workers": 2},
    "dask-slurm": {"workers": 2, "memory": "2G"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_gives_the_same_data_on_every_kind_of_cluster(
    site: Any, expected: Any, kind: str
) -> None:
    walltime = {} if kind == "dask" else {"walltime": "00:20:00"}
    profile = site.folder / "p.yaml"
    keys = {"kind": kind, **walltime, **KINDS[kind]}
    profile.write_text("\n".join(f"{k}: {v!r}" for k, v in keys.items()) + "\n")
    study = site.study(kind)
    site.romflow("run", "generate-ns-data", "--study", study, "--profile", str(profile))
    assert site.checksums(kind) == expected[False]


def test_a_submitted_study_gives_the_same_data_and_leaves_no_process_here(
    site: Any, expected: Any
) -> None:
    site.submit("sub")
    ours = [p for p in site.solvers("sub") if "slurmstepd" not in _ancestors(p)]
    assert not ours
    site.until_ended("sub")
    assert site.stage("sub") == "done"
    assert site.checksums("sub") == expected[False]
    assert (site.folder / "catalog" / "sub" / "entry.yaml").exists()
    assert "4 of 4 committed" in site.romflow("status", str(site.root("sub")))


def test_mpi_across_two_nodes_gives_the_same_data(site: Any, expected: Any) -> None:
    site.submit("wide", nodes=2)
    site.until_ended("wide")
    assert site.checksums("wide") == expected[False]


@pytest.mark.parametrize(
    "keys", [{}, {"launcher": "srun", "launcher_options": ["--mpi=pmi2"]}], ids=["mpiexec", "srun"]
)
def test_a_site_is_found_well_with_ranks_on_both_nodes(site: Any, keys: dict[str, Any]) -> None:
    profile = load_profile(site.profile(nodes=2, **keys))
    findings = examine_profile(profile, site.folder / "data")
    assert [finding.advice for finding in findings] == [""] * 6
    assert "2 ranks on 2 nodes (n1, n2)" in findings[-1].found
    assert not list((site.folder / "data").iterdir())


def test_a_launcher_of_another_mpi_is_noticed(site: Any) -> None:
    profile = load_profile(site.profile(launcher="srun"))
    last = examine_profile(profile, site.folder)[-1]
    assert last.name == "MPI"
    assert "belong to different MPIs" in last.advice


@pytest.mark.parametrize(
    ("key", "value", "expected_text"),
    [
        ("partition", "man", "one of main, short, urgent"),
        ("walltime", "03:00:00", "at most 2:00:00 in partition main"),
        ("ranks", 3, "at most 2 on 1 nodes"),
        ("nodes", 3, "at most 2 in partition main"),
        ("memory", "9G", "at most 4000M"),
    ],
)
def test_what_the_site_lacks_is_refused_before_anything_is_written(
    site: Any, key: str, value: Any, expected_text: str
) -> None:
    keys = {key: value} | ({"ranks": 3} if key == "nodes" else {})
    site.romflow("submit", site.study("no"), "--profile", site.profile(**keys), code=2)
    assert not site.root("no").exists()
    finding = examine_profile(load_profile(site.profile(**keys)), site.folder)[-1]
    assert f"{key}: expected {expected_text}" in finding.advice


def test_a_study_that_is_in_slurm_is_not_submitted_twice(site: Any) -> None:
    site.submit("once", slow=True)
    study = site.study("once", slow=True)
    site.romflow("submit", study, "--profile", site.profile(), code=2)
    site.romflow("cancel", str(site.root("once")))


def test_many_jobs_at_once_share_few_calls(site: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    module = site.folder / "quick.py"
    module.write_text("print('hello')\n")
    profile = load_profile(site.profile(setup=[f"export PYTHONPATH={site.folder}"]))
    cluster = SlurmCluster(profile, site.folder / "state")
    logs = [Path(site.folder / f"{n}.log") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda log: cluster.run_alone(["quick"], log), logs))
    assert [result.code for result in results] == [0] * 6
    assert {log.read_text() for log in logs} == {"hello\n"}
    assert len(list((site.folder / "state").glob("run-*/*/work.json"))) == 1


def _ancestors(process: Any) -> list[str]:
    return [parent.name() for parent in process.parents()]
