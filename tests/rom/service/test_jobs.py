"""Jobs: started, watched, cancelled; their failures are told in words."""

import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from threading import Event, Semaphore
from typing import Any

import numpy as np
import pytest
from httpx import Client

from infra.errors import RomflowError, StorageFullError, UserError
from rom.enrichment import EnrichmentSettings
from rom.service.local_jobs import JobHandle, LocalJobs

MU = {"height": 0.4, "power": 3.0}
COMPARE = "/api/models/spot/compare"
ENRICH = "/api/models/spot/enrich"


class Solver:
    """A computation that goes on when the test says so."""

    def __init__(self) -> None:
        self.go, self.began = Event(), Event()

    def compare(self, _: str, __: int, mu: Mapping[str, float], handle: JobHandle) -> Any:
        handle.progress(0.5, "solving")
        self.began.set()
        while not (self.go.wait(0.01) or handle.cancelled):
            pass
        handle.check()
        if mu["power"] > 9.0:
            raise UserError("Expected a solver that converges; received NaN.")
        if mu["power"] < 2.0:
            raise ZeroDivisionError
        return {"errors": {"flux": 0.01}}, {"flux": np.full((1, 4), mu["height"])}

    def enrich(self, _: str, version: int, settings: EnrichmentSettings, __: JobHandle) -> Any:
        return {"version": version + 1, "samples": settings.budget}, {}


@pytest.fixture
def solver() -> Solver:
    return Solver()


@pytest.fixture
def jobs(solver: Solver) -> Iterator[LocalJobs]:
    found = LocalJobs(solver.compare, solver.enrich)
    yield found
    found.close()


@pytest.fixture
def busy(clients: Callable[..., Client], jobs: LocalJobs) -> Client:
    return clients(jobs=jobs)


def ended(client: Client, job: str) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = client.get(f"/api/jobs/{job}").json()
        if status["state"] in ("done", "failed", "cancelled"):
            return status
    raise AssertionError(status)


def test_the_truth_is_computed_by_a_job(busy: Client, solver: Solver) -> None:
    reply = busy.post(COMPARE, json={"mu": MU})
    assert reply.status_code == 202
    job = reply.json()["job"]
    assert reply.headers["location"] == f"/api/jobs/{job}"
    assert solver.began.wait(60)
    status = busy.get(f"/api/jobs/{job}").json()
    assert (status["state"], status["progress"], status["message"]) == ("running", 0.5, "solving")
    assert busy.get(f"/api/jobs/{job}/arrays/flux").status_code == 404
    solver.go.set()
    status = ended(busy, job)
    assert (status["state"], status["kind"], status["version"]) == ("done", "compare", 2)
    assert status["result"] == {"errors": {"flux": 0.01}}
    array = np.load(BytesIO(busy.get(f"/api/jobs/{job}/arrays/flux?precision=float32").content))
    assert (array.dtype, array.shape) == (np.float32, (1, 4))
    assert busy.get(f"/api/jobs/{job}/arrays/other").status_code == 404


def test_enrichment_is_a_job(busy: Client) -> None:
    reply = busy.post(ENRICH, json={"tolerance": 0.01, "budget": 8})
    assert reply.status_code == 202
    assert ended(busy, reply.json()["job"])["result"] == {"version": 3, "samples": 8}
    assert busy.post(ENRICH, json={"tolerance": -1.0, "budget": 8}).status_code == 422
    assert busy.post(ENRICH, json={}).status_code == 422
    assert 'romflow_jobs_total{kind="enrich"} 1.0' in busy.get("/metrics").text


def test_failures_are_told_in_words(busy: Client, solver: Solver) -> None:
    solver.go.set()
    for power, text in ((9.5, "Expected a solver"), (1.5, "failed")):
        job = busy.post(COMPARE, json={"mu": MU | {"power": power}}).json()["job"]
        status = ended(busy, job)
        assert status["state"] == "failed"
        assert text in status["message"]


def test_jobs_are_cancelled_running_or_waiting(busy: Client, solver: Solver) -> None:
    first, second = (busy.post(COMPARE, json={"mu": MU}).json()["job"] for _ in range(2))
    assert solver.began.wait(60)
    assert busy.delete(f"/api/jobs/{second}").json()["state"] == "cancelled"
    busy.delete(f"/api/jobs/{first}")
    assert ended(busy, first)["state"] == "cancelled"


class Processes:
    """A computation that notices nothing, and starts process after process until all are ended."""

    def __init__(self, number: int) -> None:
        self.left, self.ended, self.began = number, Semaphore(0), Event()

    def compare(self, _: str, __: int, ___: Mapping[str, float], ____: JobHandle) -> Any:
        self.began.set()
        for _i in range(self.left):
            assert self.ended.acquire(timeout=60)
            self.left -= 1
        raise RomflowError("The simulation could not be computed.")


def test_processes_of_a_cancelled_computation_are_ended_until_it_stops(
    clients: Callable[..., Client],
) -> None:
    work = Processes(3)
    jobs = LocalJobs(work.compare, kill=work.ended.release)
    client = clients(jobs=jobs)
    job = client.post(COMPARE, json={"mu": MU}).json()["job"]
    assert work.began.wait(60)
    client.delete(f"/api/jobs/{job}")
    assert ended(client, job)["state"] == "cancelled"
    assert work.left == 0
    jobs.close()


def test_the_end_of_the_service_ends_a_computation(clients: Callable[..., Client]) -> None:
    work = Processes(2)
    jobs = LocalJobs(work.compare, kill=work.ended.release)
    client = clients(jobs=jobs)
    first, second = (client.post(COMPARE, json={"mu": MU}).json()["job"] for _ in range(2))
    assert work.began.wait(60)
    jobs.close()
    assert work.left == 0
    assert ended(client, first)["state"] == "cancelled"
    assert ended(client, second)["state"] == "cancelled"


def test_arrays_of_old_jobs_give_way(
    monkeypatch: pytest.MonkeyPatch, busy: Client, solver: Solver
) -> None:
    monkeypatch.setattr("rom.service.local_jobs._ARRAY_BYTES", 100)  # three times 32
    solver.go.set()
    started = [busy.post(COMPARE, json={"mu": MU}).json()["job"] for _ in range(5)]
    assert [ended(busy, job)["state"] for job in started] == ["done"] * 5
    found = [busy.get(f"/api/jobs/{job}/arrays/flux").status_code for job in started]
    assert found == [404, 404, 200, 200, 200]
    assert busy.get(f"/api/jobs/{started[0]}").json()["arrays"] == []


def test_the_storage_of_the_server_is_no_business_of_a_client(
    clients: Callable[..., Client],
) -> None:
    def compare(*_: object) -> Any:
        raise StorageFullError("No room to write /srv/secret/place.")

    job_client = clients(jobs=LocalJobs(compare))
    job = job_client.post(COMPARE, json={"mu": MU}).json()["job"]
    status = ended(job_client, job)
    assert status["state"] == "failed"
    assert "secret" not in status["message"]


def test_jobs_that_wait_are_limited(busy: Client) -> None:
    codes = [busy.post(COMPARE, json={"mu": MU}).status_code for _ in range(34)]
    assert codes == [202] * 32 + [429] * 2


def test_bad_jobs_are_refused(busy: Client, client: Client) -> None:
    assert busy.post(COMPARE, json={"mu": {"height": 0.4}}).status_code == 422
    assert busy.post("/api/models/none/compare", json={"mu": MU}).status_code == 404
    for job in ("unknown", "..", "a.b", "x" * 100):
        assert busy.get(f"/api/jobs/{job}").status_code == 404
    assert busy.delete("/api/jobs/unknown").status_code == 404
    reply = client.post(COMPARE, json={"mu": MU})
    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "no_jobs")
