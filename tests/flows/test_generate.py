"""The flow on a real server: the same bits on every way, artifacts, cancellation."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun

from flows.study import Study
from infra.catalog import Catalog
from infra.zarr_store import ZarrStore

pytestmark = [pytest.mark.server, pytest.mark.mpi]


def deploy(server: Any, study: Study, *arguments: str) -> UUID:
    """Ask for a run of the deployment, as a user does, and return its number."""
    parameter = f"study={study.model_dump_json()}"
    command = ["deployment", "run", "generate-ns-data/local", "--param", parameter, *arguments]
    done = server.prefect(*command)
    assert done.returncode == 0, done.stdout
    (found,) = set(re.findall(r"runs/flow-run/([0-9a-f-]{36})", done.stdout))
    return UUID(found)


def flow_run(server: Any, number: UUID) -> FlowRun:
    with SyncPrefectClient(server.url) as client:
        return client.read_flow_run(number)


def artifacts(server: Any, number: UUID) -> dict[str, Artifact]:
    """Return the artifacts of a run and of the flow inside it, by type."""
    with SyncPrefectClient(server.url) as client:
        parent = FlowRunFilterParentFlowRunId(any_=[number])
        inner = client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parent))
        runs = ArtifactFilterFlowRunId(any_=[number, *(run.id for run in inner)])
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=runs))
    return {str(artifact.type): artifact for artifact in found}


def test_every_way_gives_the_bits_of_plain_mpi_jobs(
    served: Any, server: Any, computed: Callable[[Study], ZarrStore]
) -> None:
    """Command line with one worker, command line with Dask, deployment with two workers."""
    expected = served.checksums(computed(served.study(name="plain")))
    assert sorted(expected) == [0, 1, 2]
    run = {"ranks": 2, "chunk_size": 2, "retries": 0}

    done = served.generate(name="serial", run=run | {"workers": 1})
    assert done.returncode == 0, done.stderr
    assert "3 of 3 committed, 0 failed, 0 missing" in done.stdout
    done = served.generate(name="dask", run=run | {"workers": 2, "runner": "dask"})
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "distributed" in line]
    number = deploy(server, served.study(name="deployed", run=run | {"workers": 2}), "--watch")
    state = flow_run(server, number).state
    assert state is not None
    assert state.is_completed(), state.message

    for name in ("serial", "dask", "deployed"):
        assert served.checksums(served.store(name)) == expected
        for index in expected:
            served.store(name).verify(index)
        check_entry(served, name)
    check_artifacts(server, number)


def check_entry(folder: Any, name: str) -> None:
    """Check the catalogue's entry against its files and data."""
    catalog = Catalog(folder.path / "catalog")
    assert catalog.check(name) == []
    with Image.open(catalog.folder(name) / "figure.png") as picture:
        assert picture.format == "PNG"
    assert r"\nabla\cdot u = 0" in (catalog.folder(name) / "README.md").read_text()


def check_artifacts(server: Any, number: UUID) -> None:
    """Check what Prefect's pages show of a complete run."""
    found = artifacts(server, number)
    assert set(found) == {"progress", "table", "markdown"}
    assert found["progress"].data == 100.0
    rows = json.loads(str(found["table"].data))
    assert [row["status"] for row in rows] == ["committed"] * 3
    assert "3 of 3 samples committed" in str(found["markdown"].data)
    assert "data:image/png;base64," in str(found["markdown"].data)


def test_cancelling_ends_all_mpi_processes(
    served: Any, server: Any, until: Any, alive: Any
) -> None:
    # So many that it takes minutes, unless it is ended.
    many = {"method": "uniform", "samples": 64, "seed": 1}
    run = {"ranks": 2, "chunk_size": 32, "workers": 1, "retries": 2}
    study = served.study(slow=True, sampling=many, run=run)
    number = deploy(server, study)
    commits = study.dataset / "commits"
    until(lambda: list(commits.glob("*.json")), "the first commit")
    jobs = served.jobs()
    assert len(jobs) >= 3
    done = server.prefect("flow-run", "cancel", str(number))
    assert done.returncode == 0, done.stdout
    until(lambda: not any(alive(process) for process in jobs), "the end of the jobs")
    until(lambda: flow_run(server, number).state_name == "Cancelled", "the run's last state")
    assert served.jobs() == []
    assert 1 <= len(served.store("slow").committed()) < 64
