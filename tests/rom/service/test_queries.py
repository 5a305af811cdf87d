"""Queries over HTTP are those of the model; what does not fit is refused in words."""

from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from httpx import Client

from rom.reduced_model import ReducedModel
from rom.selection import Select

MU = {"height": 0.4, "power": 3.0}
MANY = [[0.3, 2.0], [0.55, 5.0], [0.7, 9.0]]
POINTS = [[0.21, 0.34], [0.5, 0.5]]
SELECTS: list[tuple[Any, Select]] = [
    ("quantities", Select.quantities()),
    ("coefficients", Select.coefficients()),
    ("fields", Select.fields()),
    ({"kind": "fields", "names": ["flux"]}, Select.fields("flux")),
    ({"kind": "quantities", "names": ["mean"]}, Select.quantities("mean")),
    ({"kind": "coefficients"}, Select.coefficients()),
    ({"kind": "region", "region": "corner"}, Select.in_region("corner")),
    ({"kind": "nodes", "nodes": [3, 1], "names": ["flux"]}, Select.at_nodes([3, 1], "flux")),
    ({"kind": "box", "low": [0.2, 0.2], "high": [0.6, 0.6]}, Select.in_box([0.2] * 2, [0.6] * 2)),
    ({"kind": "probes", "points": POINTS}, Select.probes(POINTS)),
]


def ask(client: Client, model: str = "spot", status: int = 200, **body: Any) -> Any:
    reply = client.post(f"/api/models/{model}/query", json={"mu": MU} | body)
    assert reply.status_code == status, reply.text
    return reply.json()


@pytest.mark.parametrize(("text", "select"), SELECTS, ids=map(str, range(len(SELECTS))))
def test_a_reply_is_the_answer_of_the_model(
    client: Client, moving: ReducedModel, text: Any, select: Select
) -> None:
    for body in ({"mu": MANY}, {"mu": MANY, "time": [0.25, 0.6]}):
        reply = ask(client, "moving", select=text, **body)
        expected = moving.query(MANY, body.get("time"), select)
        assert list(reply["values"]) == list(expected.values)
        for name, values in expected.values.items():
            np.testing.assert_allclose(reply["values"][name], values, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(reply["trust"]["indicator"], expected.eta, rtol=1e-9)
        assert reply["times"] == expected.times.tolist()
        assert reply["units"] == expected.units
        assert reply["mu"] == MANY
        assert reply["version"] == 1


@pytest.mark.parametrize(
    "mu",
    [
        {"height": [0.3, 0.4], "power": 2.0},
        {"height": [0.3, 0.4], "power": [2.0, 2], "gravity": 9.81},
        [[0.3, 2.0], [0.4, 2.0]],
    ],
)
def test_parameters_come_by_name_or_in_rows(client: Client, mu: Any) -> None:
    assert ask(client, mu=mu)["mu"] == [[0.3, 2.0], [0.4, 2.0]]


def test_queries_of_a_batch_are_those_sent_one_by_one(client: Client) -> None:
    select = {"kind": "probes", "points": POINTS}
    batch = ask(client, mu=MANY, select=select)["values"]["temperature"]
    for row, values in zip(MANY, batch, strict=True):
        single = ask(client, mu=[row], select=select)["values"]["temperature"][0]
        np.testing.assert_allclose(single, values, rtol=1e-12)


def test_what_is_out_of_range_is_flagged_in_words_or_refused(client: Client) -> None:
    mu = [[0.5, 3.0], [0.9, 3.0]]
    trust = ask(client, mu=mu)["trust"]
    assert trust["in_range"] == [True, False]
    assert trust["trusted"][1] is False
    assert "height 0.9 is above the trained range 0.2 to 0.8 m" in trust["reasons"][1]
    error = ask(client, mu=mu, policy="refuse", status=422)["error"]
    assert error["type"] == "out_of_range"
    assert "query 1: height 0.9" in error["received"]


def test_an_indicator_above_the_tolerance_is_no_trust_and_says_so(clients: Any) -> None:
    trust = ask(clients(tolerance=1e-12))["trust"]
    assert trust["trusted"] == [False]
    assert "is above the tolerance 1e-12" in trust["reasons"][0]
    assert ask(clients(tolerance=1e9))["trust"]["reasons"] == [""]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"mu": {"height": 0.3}}, "power: missing"),
    "unknown": ({"mu": MU | {"mass": 1.0}}, "mass: unknown"),
    "fixed": ({"mu": MU | {"gravity": 1.6}}, "gravity: fixed"),
    "text": ({"mu": MU | {"power": "80 Hz"}}, "mu.power"),
    "truth value": ({"mu": MU | {"power": True}}, "mu.power"),
    "no query": ({"mu": []}, "shape"),
    "no numbers": ({"mu": {"height": [], "power": []}}, "shape"),
    "ragged": ({"mu": {"height": [0.3, 0.4], "power": [1.0, 2.0, 3.0]}}, "shapes"),
    "ragged rows": ({"mu": [[0.3, 1.0], [0.3]]}, "equal length"),
    "too many columns": ({"mu": [[0.3, 1.0, 1.0]]}, "shape"),
    "unit": ({"units": {"power": "kW"}}, "power: expected W, received kW"),
    "time outside": ({"time": 3.0}, "times from 0 to 0"),
    "no time": ({"time": []}, "times"),
    "field": ({"select": {"kind": "fields", "names": ["speed"]}}, "speed"),
    "quantity": ({"select": {"kind": "quantities", "names": ["drag"]}}, "drag"),
    "region": ({"select": {"kind": "region", "region": "inlet"}}, "inlet"),
    "word": ({"select": "everything"}, "select"),
    "kind": ({"select": {"kind": "all"}}, "select"),
    "probe outside": ({"select": {"kind": "probes", "points": [[2.0, 2.0]]}}, "outside"),
    "probe in 3D": ({"select": {"kind": "probes", "points": [[0.1, 0.1, 0.1]]}}, "coordinates"),
    "probes ragged": ({"select": {"kind": "probes", "points": [[0.1], [0.1, 0.1]]}}, "equal"),
    "no probes": ({"select": {"kind": "probes", "points": []}}, "points"),
    "box ragged": ({"select": {"kind": "box", "low": [0.1], "high": [1.0, 1.0]}}, "equal"),
    "empty box": ({"select": {"kind": "box", "low": [2, 2], "high": [3, 3]}}, "none"),
    "node": ({"select": {"kind": "nodes", "nodes": [10**6]}}, "place"),
    "huge node": ({"select": {"kind": "nodes", "nodes": [10**30]}}, "nodes"),
    "huge number": ({"mu": MU | {"power": 10**400}}, "mu.power"),
    "entry": ({"mus": 1}, "mus"),
    "policy": ({"policy": "ignore"}, "policy"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_queries_are_refused_with_what_was_expected(client: Client, case: str) -> None:
    body, text = BAD[case]
    error = ask(client, status=422, **body)["error"]
    assert set(error) == {"type", "message", "expected", "received"}
    assert text in error["message"]
    assert "Traceback" not in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"mu": {"height": NaN, "power": 2}}',
        b'{"mu": {"height": Infinity, "power": 2}}',
        b'{"mu": {"height": 1e999, "power": 2}}',
        b"[" * 100_000,
        b'{"mu": {"height": ' + b"9" * 10_000 + b', "power": 2}}',
        b"\xff\xfe",
    ],
    ids=map(str, range(10)),
)
def test_bodies_that_are_no_queries_are_refused(client: Client, body: bytes) -> None:
    reply = client.post(
        "/api/models/spot/query", content=body, headers={"content-type": "application/json"}
    )
    assert reply.status_code in (400, 422), reply.text
    assert reply.json()["error"]["message"]


def test_a_body_of_another_type_is_refused(client: Client) -> None:
    """A page of another site may send text without asking; it must not start anything."""
    reply = client.post(
        "/api/models/spot/query",
        content=b'{"mu": [[0.3, 1]]}',
        headers={"content-type": "text/plain"},
    )
    assert reply.status_code == 415


def test_parameters_far_away_are_flagged_or_have_no_finite_answer(client: Client) -> None:
    for value in (1e300, -1e300, 0.0, 1e20):
        reply = client.post(
            "/api/models/spot/query", json={"mu": {"height": value, "power": value}}
        )
        assert reply.status_code in (200, 422)
        assert b"NaN" not in reply.content
        assert b"Infinity" not in reply.content
        if reply.status_code == 200:
            assert reply.json()["trust"]["in_range"] == [False]
            assert None not in reply.json()["trust"]["indicator"]


@pytest.mark.parametrize(
    "model", ["none", "..", "../spot", "%2e%2e%2fspot", "SPOT", "spot.trust", "a" * 300]
)
def test_unknown_models_and_ways_out_of_the_folder_are_not_found(
    client: Client, model: str
) -> None:  # fmt: skip
    reply = client.post(f"/api/models/{model}/query", json={"mu": MU})
    assert reply.status_code in (404, 405)
    assert reply.json()["error"]["message"]


def test_versions_are_chosen_and_unknown_ones_not_found(client: Client) -> None:
    assert ask(client)["version"] == 2
    assert ask(client, version=1)["version"] == 1
    assert ask(client, version=9, status=404)["error"]["type"] == "unknown_version"
    ask(client, version=0, status=422)


def test_gradients_are_those_of_the_model(client: Client, moving: ReducedModel) -> None:
    for text, select in SELECTS:
        reply = client.post(
            "/api/models/moving/query/gradient", json={"mu": MANY, "select": text, "time": 0.3}
        ).json()
        expected = moving.gradient(MANY, 0.3, select)
        assert reply["parameters"] == ["height", "power"]
        assert reply["parameter_units"] == ["m", "W"]
        for name, values in expected.values.items():
            np.testing.assert_allclose(reply["values"][name], values, rtol=1e-10, atol=1e-10)


def binary(client: Client, accept: str, status: int = 200, **body: Any) -> Any:
    reply = client.post(
        "/api/models/moving/query", json={"mu": MANY} | body, headers={"accept": accept}
    )
    assert reply.status_code == status, reply.text
    return reply


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_field_comes_as_an_array(client: Client, moving: ReducedModel, precision: str) -> None:
    select = {"kind": "fields", "names": ["flux"]}
    reply = binary(client, "application/x-npy", select=select, precision=precision)
    received = np.load(BytesIO(reply.content))
    assert received.dtype == precision
    expected = moving.query(MANY, select=Select.fields("flux"))
    np.testing.assert_allclose(received, expected.values["flux"], rtol=1e-6)
    headers = reply.headers
    assert headers["x-romflow-units"] == "W m-2"
    assert float(headers["x-romflow-indicator"]) == pytest.approx(expected.eta.max(), rel=1e-5)
    assert headers["x-romflow-in-range"] == "true"
    assert headers["x-romflow-model"] == "moving/1"


def test_several_fields_are_no_array(client: Client) -> None:
    error = binary(client, "application/x-npy", 422, select="fields").json()["error"]
    assert error["type"] == "several_arrays"


def test_an_arrow_stream_holds_a_row_per_query_and_time(
    client: Client, moving: ReducedModel
) -> None:
    arrow = "application/vnd.apache.arrow.stream"
    for select in ("fields", "quantities"):
        reply = binary(client, arrow, select=select, time=[0.25, 0.6])
        table = pa.ipc.open_stream(reply.content).read_all()
        expected = moving.query(MANY, [0.25, 0.6], select)
        assert table["query"].to_pylist() == [0, 0, 1, 1, 2, 2]
        assert table["time"].to_pylist() == [0.25, 0.6] * 3
        assert table["height"].to_pylist()[::2] == [row[0] for row in MANY]
        for name, values in expected.values.items():
            received = np.array(table[name].to_pylist()).reshape(3, 2, -1)
            wide = values if values.ndim == 3 else values[:, :, np.newaxis]
            np.testing.assert_allclose(received, np.broadcast_to(wide, received.shape), rtol=1e-12)
            assert table.schema.field(name).metadata[b"units"].decode() == expected.units[name]
        assert table.schema.metadata[b"model"] == b"moving"


def test_quantities_come_as_a_table(client: Client, moving: ReducedModel) -> None:
    lines = binary(client, "text/csv", select="quantities").text.splitlines()
    assert lines[0] == (
        "query,time [s],height [m],power [W],mean [K],total [W m],indicator [1],in_range"
    )
    rows = np.array([[float(x) for x in line.split(",")] for line in lines[1:]])
    expected = moving.query(MANY).values
    np.testing.assert_allclose(rows[:, 4], expected["mean"].reshape(-1), rtol=1e-12)
    np.testing.assert_allclose(rows[::5, 5], expected["total"][:, 0], rtol=1e-12)
    binary(client, "text/csv", 406, select="fields")


def test_forms_that_do_not_exist_are_refused(client: Client) -> None:
    binary(client, "image/png", 406)
    assert binary(client, "image/png, */*;q=0.1").headers["content-type"] == "application/json"
