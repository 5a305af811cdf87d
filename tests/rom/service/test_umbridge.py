"""The UM-Bridge protocol 1.0, request by request; its own client is in test_clients."""

from typing import Any

import numpy as np
import pytest
from httpx import Client

from rom.reduced_model import ReducedModel

POINT = [0.4, 3.0]


def post(client: Client, path: str, status: int = 200, **body: Any) -> Any:
    reply = client.post(path, json={"name": "moving"} | body)
    assert reply.status_code == status, reply.text
    return reply.json()


def test_models_come_without_and_with_trust(client: Client) -> None:
    assert client.get("/Info").json() == {
        "protocolVersion": 1.0,
        "models": ["moving", "spot", "moving.trust", "spot.trust"],
    }
    support = post(client, "/ModelInfo")["support"]
    assert support == {
        "Evaluate": True, "Gradient": True, "ApplyJacobian": True, "ApplyHessian": False
    }  # fmt: skip


CONFIGS: list[dict[str, Any]] = [
    {},
    {"level": 0, "version": 1},
    {"time": 0.3},
    {"select": {"kind": "quantities", "names": ["mean"]}, "time": [0.1, 0.2]},
    {"select": {"kind": "probes", "points": [[0.5, 0.5]]}},
    {"select": "coefficients", "time": 1.0},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("suffix", ["", ".trust"])
def test_sizes_are_those_of_evaluations(
    client: Client, config: dict[str, Any], suffix: str
) -> None:
    body = {"name": f"moving{suffix}", "config": config}
    assert post(client, "/InputSizes", **body) == {"inputSizes": [2]}
    sizes = post(client, "/OutputSizes", **body)["outputSizes"]
    output = post(client, "/Evaluate", input=[POINT], **body)["output"]
    assert [len(vector) for vector in output] == sizes
    if suffix:
        assert sizes[-1] == 4


def test_evaluations_are_answers_of_the_model(client: Client, moving: ReducedModel) -> None:
    output = post(client, "/Evaluate", input=[POINT])["output"]
    answer = moving.query([POINT])
    for vector, values in zip(output, answer.values.values(), strict=True):
        np.testing.assert_allclose(vector, values[0], rtol=1e-12)
    trust = post(client, "/Evaluate", name="moving.trust", input=[POINT])["output"][-1]
    np.testing.assert_allclose(
        trust, [answer.eta[0], 1.0, answer.score[0], answer.distance[0]], rtol=1e-9
    )


def test_zeros_are_answered_and_flagged(client: Client) -> None:
    output = post(client, "/Evaluate", name="moving.trust", input=[[0.0, 0.0]])["output"]
    assert output[-1][1] == 0.0
    assert np.isfinite(np.concatenate(output)).all()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_products_with_jacobians_are_those_of_differences(
    client: Client, config: dict[str, Any]
) -> None:
    rng = np.random.default_rng(1)
    direction, step = rng.standard_normal(2) * [0.1, 1.0], 1e-5
    outputs = []
    for sign in (1, -1):
        point = (np.array(POINT) + sign * step * direction).tolist()
        outputs.append(post(client, "/Evaluate", input=[point], config=config))
    body = {"inWrt": 0, "input": [POINT], "config": config}
    for i, (above, below) in enumerate(zip(*(o["output"] for o in outputs), strict=True)):
        expected = (np.array(above) - np.array(below)) / (2 * step)
        Jv = post(client, "/ApplyJacobian", outWrt=i, vec=direction.tolist(), **body)["output"]
        scale = np.abs(expected).max() + np.abs(above).max() * 1e-5
        np.testing.assert_allclose(Jv, expected, atol=2e-4 * scale)
        sens = rng.standard_normal(len(expected))
        sJ = post(client, "/Gradient", outWrt=i, sens=sens.tolist(), **body)["output"]
        np.testing.assert_allclose(sens @ np.array(Jv), np.array(sJ) @ direction, rtol=1e-9)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("/ModelInfo", {"name": "none"}, "ModelNotFound"),
    ("/Evaluate", {"name": "../spot", "input": [POINT]}, "ModelNotFound"),
    ("/Evaluate", {"input": [POINT], "config": {"version": 7}}, "ModelNotFound"),
    ("/Evaluate", {"input": [[0.4]]}, "InvalidInput"),
    ("/Evaluate", {"input": []}, "InvalidInput"),
    ("/Evaluate", {"input": [POINT, POINT]}, "InvalidInput"),
    ("/Evaluate", {"input": [["a", 1]]}, "InvalidInput"),
    ("/Evaluate", {"input": [POINT], "more": 1}, "InvalidInput"),
    ("/Evaluate", {"input": [POINT], "config": {"level": 2}}, "InvalidInput"),
    ("/Evaluate", {"input": [POINT], "config": {"time": 9.0}}, "InvalidInput"),
    ("/Gradient", {"outWrt": 7, "inWrt": 0, "input": [POINT], "sens": [1]}, "InvalidInput"),
    ("/Gradient", {"outWrt": 1, "inWrt": 1, "input": [POINT], "sens": [1]}, "InvalidInput"),
    ("/Gradient", {"outWrt": 1, "inWrt": 0, "input": [POINT], "sens": [1, 2]}, "InvalidInput"),
    ("/ApplyJacobian", {"outWrt": 1, "inWrt": 0, "input": [POINT], "vec": [1]}, "InvalidInput"),
    (
        "/Gradient",
        {"name": "moving.trust", "outWrt": 2, "inWrt": 0, "input": [POINT], "sens": [1]},
        "UnsupportedFeature",
    ),
    (
        "/ApplyHessian",
        {"outWrt": 0, "inWrt1": 0, "inWrt2": 0, "input": [POINT], "sens": [1], "vec": [1, 1]},
        "UnsupportedFeature",
    ),
]


@pytest.mark.parametrize(("path", "body", "kind"), BAD, ids=map(str, range(len(BAD))))
def test_errors_have_the_form_of_the_protocol(
    client: Client, path: str, body: dict[str, Any], kind: str
) -> None:
    error = post(client, path, 400, **body)["error"]
    assert set(error) == {"type", "message"}
    assert error["type"] == kind
