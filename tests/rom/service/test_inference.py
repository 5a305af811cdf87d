"""The Open Inference protocol, request by request; a stock client is in test_clients."""

import json
from typing import Any

import numpy as np
import pytest
from httpx import Client

from rom.reduced_model import ReducedModel

HEADER = "Inference-Header-Content-Length"
HEIGHT = {"name": "height", "shape": [2], "datatype": "FP64", "data": [0.4, 0.5]}
POWER = {"name": "power", "shape": [2, 1], "datatype": "FP32", "data": [[3.0], [4.0]]}
MANY = [[0.4, 3.0], [0.5, 4.0]]


def infer(client: Client, status: int = 200, model: str = "moving", **body: Any) -> Any:
    reply = client.post(f"/v2/models/{model}/infer", json={"inputs": [HEIGHT, POWER]} | body)
    assert reply.status_code == status, reply.text
    return reply.json()


def test_the_service_and_its_models_describe_themselves(client: Client) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/models/spot/ready").json() == {"name": "spot", "ready": True}
    assert client.get("/v2/models/spot/versions/1/ready").json()["ready"]
    about = client.get("/v2/models/spot").json()
    assert about["versions"] == ["1", "2"]
    assert [(t["name"], t["datatype"], t["shape"]) for t in about["inputs"]] == [
        ("height", "FP64", [-1]),
        ("power", "FP64", [-1]),
    ]
    assert about["inputs"][0]["parameters"] == {"units": "m", "low": 0.2, "high": 0.8}
    units = {t["name"]: t["parameters"]["units"] for t in about["outputs"]}
    assert units["temperature"] == "K"
    assert units["mean"] == "K"
    assert client.get("/v2/models/spot/versions/1").json()["versions"] == ["1"]
    assert len(about["parameters"]["model_hash"]) == 64


def test_the_usual_outputs_are_quantities_with_trust(client: Client, moving: ReducedModel) -> None:
    reply = infer(client, id="7")
    assert (reply["model_name"], reply["model_version"], reply["id"]) == ("moving", "1", "7")
    expected = moving.query(MANY)
    outputs = {o["name"]: o for o in reply["outputs"]}
    assert list(outputs) == ["mean", "total", "indicator", "in_range"]
    for name, values in expected.values.items():
        assert outputs[name]["shape"] == list(values.shape)
        np.testing.assert_allclose(outputs[name]["data"], values.reshape(-1), rtol=1e-6)
        assert outputs[name]["parameters"] == {"units": expected.units[name]}
    assert outputs["in_range"]["data"] == [True, True]
    trust = reply["parameters"]
    assert trust["indicator"] == pytest.approx(expected.eta.max(), rel=1e-6)
    assert set(trust) == {
        "indicator", "coverage", "in_range", "trusted", "reason", "level_used", "model_hash"
    }  # fmt: skip


def test_outputs_are_chosen_by_name_at_times_and_probes(
    client: Client, moving: ReducedModel
) -> None:
    extra = [
        {"name": "time", "shape": [1], "datatype": "FP64", "data": [0.3]},
        {"name": "probes", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 0.5]},
    ]
    wanted = [{"name": n} for n in ("coefficients", "flux", "mean")]
    reply = infer(client, inputs=[HEIGHT, POWER, *extra], outputs=wanted)
    shapes = {o["name"]: o["shape"] for o in reply["outputs"]}
    assert shapes == {"coefficients": [2, 1, moving.rank], "flux": [2, 1, 1], "mean": [2, 1]}
    whole = infer(client, inputs=[HEIGHT, POWER], outputs=[{"name": "flux"}])["outputs"][0]
    assert whole["shape"] == [2, 5, 49]


def test_tensors_go_both_ways_as_bytes(client: Client, moving: ReducedModel) -> None:
    parts = [np.array([0.4, 0.5]), np.array([3.0, 4.0], "f4")]
    inputs = [
        {"name": n, "shape": [2], "datatype": k, "parameters": {"binary_data_size": a.nbytes}}
        for n, k, a in zip(("height", "power"), ("FP64", "FP32"), parts, strict=True)
    ]
    outputs = [
        {"name": "flux", "parameters": {"binary_data": True}},
        {"name": "in_range", "parameters": {"binary_data": True}},
        {"name": "mean"},
    ]
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    reply = client.post(
        "/v2/models/moving/infer",
        content=head + b"".join(p.tobytes() for p in parts),
        headers={HEADER: str(len(head)), "content-type": "application/octet-stream"},
    )
    assert reply.status_code == 200, reply.text
    end = int(reply.headers[HEADER])
    flux, in_range, mean = json.loads(reply.content[:end])["outputs"]
    size = flux["parameters"]["binary_data_size"]
    received = np.frombuffer(reply.content[end : end + size]).reshape(flux["shape"])
    expected = moving.query(MANY, select="fields").values["flux"]
    np.testing.assert_allclose(received, expected, rtol=1e-6)
    assert np.frombuffer(reply.content[end + size :], bool).tolist() == [True, True]
    assert in_range["parameters"]["binary_data_size"] == 2
    assert len(mean["data"]) == 10


def tensor(**changes: Any) -> list[Any]:
    return [HEIGHT | changes, POWER]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"inputs": [HEIGHT]}, "power: missing"),
    "unknown": ({"inputs": tensor(name="mass")}, "inputs out of"),
    "twice": ({"inputs": [HEIGHT, HEIGHT]}, "inputs out of"),
    "shape": ({"inputs": tensor(shape=[3])}, "3 numbers"),
    "huge shape": ({"inputs": tensor(shape=[2**30] * 8)}, "numbers for the shape"),
    "matrix": ({"inputs": tensor(shape=[1, 2])}, "shape"),
    "no shape": ({"inputs": tensor(shape=[], data=[1.0])}, "shape"),
    "datatype": ({"inputs": tensor(datatype="BYTES")}, "datatype"),
    "text": ({"inputs": tensor(data=["a", "b"])}, "numbers"),
    "ragged": ({"inputs": tensor(data=[[1.0], [1.0, 2.0]])}, "equal length"),
    "no data": ({"inputs": tensor(data=None)}, "binary_data_size"),
    "too few bytes": ({"inputs": tensor(data=None, parameters={"binary_data_size": 16})}, "bytes"),
    "unit": ({"inputs": tensor(parameters={"units": "ft"})}, "expected m, received ft"),
    "output": ({"outputs": [{"name": "drag"}]}, "drag"),
    "entry": ({"more": 1}, "more"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_refused_in_one_text(client: Client, case: str) -> None:
    body, text = BAD[case]
    error = infer(client, 422, **body)
    assert set(error) == {"error"}
    assert text in error["error"]


def test_unknown_models_and_lengths_are_refused(client: Client) -> None:
    assert "moving, spot" in infer(client, 404, "none")["error"]
    for path in ("/v2/models/none", "/v2/models/none/ready", "/v2/models/spot/versions/9"):
        assert set(client.get(path).json()) == {"error"}
    for length in ("x", "-1", "99", "9" * 40):
        reply = client.post("/v2/models/spot/infer", content=b"{}", headers={HEADER: length})
        assert reply.status_code == 400
