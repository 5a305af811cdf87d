"""The query service with a structure among its models."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest

from rom.registry import Registry
from rom.service.local_jobs import LocalJobs
from rom.structures.published import PublishedStructure

CYCLES = "cycles_to_failure"
MU = {"pressure": -95.0, "temperature_rise": 570.0}


@pytest.fixture
def structures(
    made_structure: Any, clients: Callable[..., httpx.Client], tmp_path_factory: Any
) -> httpx.Client:
    registry = Registry(tmp_path_factory.mktemp("structures"))
    registry.publish(made_structure.model)
    return clients(models=registry)


def ask(client: httpx.Client, status: int = 200, **body: Any) -> Any:
    reply = client.post("/api/models/hot-cube/query", json={"mu": MU} | body)
    assert reply.status_code == status, reply.text
    return reply.json()


def infer(client: httpx.Client) -> httpx.Response:
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in MU.items()
    ]
    return client.post("/v2/models/hot-cube/infer", json={"inputs": inputs})


def test_a_structure_is_listed_and_described(structures: httpx.Client) -> None:
    entry = structures.get("/api/models").json()["models"][0]
    assert (entry["name"], entry["card"]["kind"]) == ("hot-cube", "structure")
    model = structures.get("/api/models/hot-cube").json()
    n = len(model["times"])
    assert model["mesh"]["node"]["dimension"] == 3
    assert n == model["card"]["times"]["count"] == 17
    points = structures.get(
        "/api/models/hot-cube/mesh/node/points", headers={"Accept": "application/json"}
    ).json()
    assert np.array(points).max() == pytest.approx(6e-3)  # metres


def test_a_query_gives_quantities_fields_level_and_indicator(
    structures: httpx.Client, made_structure: Any
) -> None:
    reply = ask(structures)
    expected = made_structure.model.query(MU)
    assert reply["level_used"] == "reduced"
    for name, values in expected.values.items():
        np.testing.assert_allclose(reply["values"][name], values, rtol=1e-12)
    assert reply["trust"]["indicator"] == expected.eta.tolist()
    assert reply["trust"]["trusted"] == [bool(expected.eta[0] <= reply["trust"]["tolerance"])]
    assert reply["units"]["largest_von_mises"] == "MPa"
    field = ask(structures, select={"kind": "fields", "names": ["von_mises"]}, time=4.0)
    found = made_structure.model.query(MU, 4.0, "fields").values["von_mises"]
    np.testing.assert_allclose(field["values"]["von_mises"], found, rtol=1e-12)


def test_an_answer_is_held_against_the_tolerance_of_the_model(
    made_structure: Any, clients: Callable[..., httpx.Client], tmp_path: Any
) -> None:
    model = made_structure.model
    for tolerance, fine in ((1e-9, False), (0.99, True)):
        settings = model.card.settings | {"tolerance": tolerance}
        card = model.card.model_copy(update={"settings": settings})
        registry = Registry(tmp_path / str(fine))
        registry.publish(PublishedStructure(card, model.parts))
        client = clients(models=registry)
        trust = ask(client)["trust"]
        assert (trust["tolerance"], trust["trusted"]) == (tolerance, [fine])
        assert client.get("/api/models/hot-cube").json()["tolerance"] == tolerance
        reply = client.post(
            "/api/models/hot-cube/query", json={"mu": MU}, headers={"Accept": "text/csv"}
        )
        assert reply.headers["X-Romflow-Trusted"] == str(fine).lower()
        assert reply.headers["X-Romflow-Level"] == "reduced"
        mu = [f"{name}={value}" for name, value in MU.items()]
        file = client.get(
            "/api/models/hot-cube/download", params={"mu": mu, "format": "csv", "names": CYCLES}
        )
        assert file.headers["X-Romflow-Trusted"] == str(fine).lower()
        assert infer(client).json()["parameters"]["trusted"] is fine


def test_fields_come_as_arrays_and_files(structures: httpx.Client) -> None:
    mu = [f"{name}={value}" for name, value in MU.items()]
    place = "/api/models/hot-cube/download"
    reply = structures.get(place, params={"mu": mu, "format": "npy", "names": "von_mises"})
    assert np.load(BytesIO(reply.content)).shape == (1, 17, 27)
    reply = structures.get(place, params={"mu": mu})
    assert reply.content[:4] == b"\x89HDF"
    table = structures.get(place, params={"mu": mu, "format": "csv"}).text
    assert "largest_plasticity [1]" in table.splitlines()[0]


def test_what_a_structure_does_not_offer_is_said(structures: httpx.Client) -> None:
    reply = structures.post("/api/models/hot-cube/query/gradient", json={"mu": MU})
    assert reply.status_code == 422
    assert "derivatives" in reply.json()["error"]["message"]
    error = ask(structures, mu={"pressure": -1e7, "temperature_rise": 600.0}, status=422)["error"]
    assert "pressure" in error["message"]
    body = {"name": "hot-cube", "input": [list(MU.values())], "outWrt": 0, "inWrt": 0}
    for path, more in (("/Gradient", {"sens": [0.0] * 17}), ("/ApplyJacobian", {"vec": [0.0] * 2})):
        reply = structures.post(path, json=body | more)
        assert reply.status_code == 400
        assert reply.json()["error"]["type"] == "UnsupportedFeature"
    support = structures.post("/ModelInfo", json={"name": "hot-cube"}).json()["support"]
    assert support == {
        "Evaluate": True, "Gradient": False, "ApplyJacobian": False, "ApplyHessian": False
    }  # fmt: skip


def test_jobs_that_always_refuse_are_not_queued(
    made_structure: Any, clients: Callable[..., httpx.Client], tmp_path: Any
) -> None:
    registry = Registry(tmp_path)
    registry.publish(made_structure.model)
    jobs = LocalJobs(lambda *_: ({}, {}), lambda *_: ({}, {}))
    client = clients(models=registry, jobs=jobs)
    place = "/api/models/hot-cube"
    reply = client.post(f"{place}/enrich", json={"tolerance": 0.01, "budget": 1})
    assert reply.status_code == 422, reply.text
    assert "enrich-rom hot-cube" in reply.json()["error"]["message"]
    mu = {"pressure": -1e7, "temperature_rise": 600.0}
    assert client.post(f"{place}/compare", json={"mu": mu}).status_code == 422
    assert client.post(f"{place}/compare", json={"mu": MU}).status_code == 202
    jobs.close()


def test_other_protocols_serve_it_too(structures: httpx.Client) -> None:
    body = {"name": "hot-cube", "input": [[-95.0, 570.0]], "config": {}}
    reply = structures.post("/Evaluate", json=body)
    assert [len(vector) for vector in reply.json()["output"]] == [17] * 5
    assert reply.headers["X-Romflow-Level"] == "reduced"
    reply = infer(structures)
    assert reply.status_code == 200, reply.text
    assert reply.json()["parameters"]["level_used"] == "reduced"
    assert {o["name"] for o in reply.json()["outputs"]} >= {"largest_plasticity", "indicator"}
