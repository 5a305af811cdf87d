"""The query service with a structure among its models."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest

from rom.registry import Registry

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


def test_other_protocols_serve_it_too(structures: httpx.Client) -> None:
    body = {"name": "hot-cube", "input": [[-95.0, 570.0]], "config": {}}
    output = structures.post("/Evaluate", json=body).json()["output"]
    assert [len(vector) for vector in output] == [17] * 5
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in MU.items()
    ]
    reply = structures.post("/v2/models/hot-cube/infer", json={"inputs": inputs})
    assert reply.status_code == 200, reply.text
    assert {o["name"] for o in reply.json()["outputs"]} >= {"largest_plasticity", "indicator"}
