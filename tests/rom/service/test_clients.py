"""Stock clients of the protocols, and a fuzzer, against a service that listens on a port.

They live in an environment of their own, which is made once in the user's cache.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.files import locked
from rom.reduced_model import ReducedModel
from rom.service.local_jobs import LocalJobs

HERE = Path(__file__).parent
PINS = HERE / "clients-requirements.txt"
MANY = [[0.3, 2.0], [0.55, 5.0], [0.7, 9.0]]
POINT = [0.4, 3.0]


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """Python of the environment; a missing registry fails here, and nothing is skipped."""
    digest = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path.home() / ".cache" / "romflow"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"clients-{digest}"
    python, done = folder / "bin" / "python", folder / "complete"
    with locked(cache / f"clients-{digest}.lock"):
        if not done.exists():
            beside = Path(sys.executable).with_name("uv")
            uv = str(beside) if beside.exists() else shutil.which("uv")
            assert uv is not None, "expected uv, to install the clients with"
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
            command = [uv, "pip", "install", "-q", "--python", python, "--requirement", PINS]
            subprocess.run(command, check=True)
            done.touch()
    return python


def environment() -> dict[str, str]:
    """Loopback is asked directly, whatever proxies there are."""
    return {**os.environ, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


@pytest.fixture(scope="session")
def answers(clients_python: Path, live: str) -> Any:
    done = subprocess.run(
        [clients_python, "-W", "ignore", HERE / "stock_clients.py", live],
        capture_output=True, text=True, check=False, env=environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_stock_umbridge_client_uses_all_that_is_offered(
    answers: Any, moving: ReducedModel
) -> None:
    found = answers["umbridge"]
    assert found["models"] == ["moving", "spot", "moving.trust", "spot.trust"]
    answer, gradient = moving.query([POINT]), moving.gradient([POINT])
    mean = gradient.values["mean"][0]
    for name in ("moving", "moving.trust"):
        own = found[name]
        assert own["inputs"] == [2]
        assert own["outputs"] == [5, 1] + [4] * name.endswith("trust")
        assert own["supports"] == [True, True, True, False]
        for vector, values in zip(own["output"], answer.values.values(), strict=False):
            np.testing.assert_allclose(vector, values[0], rtol=1e-12)
        np.testing.assert_allclose(own["gradient"], mean.sum(axis=0), rtol=1e-9)
        np.testing.assert_allclose(own["jacobian"], mean @ [1.0, 2.0], rtol=1e-9)
        later = moving.query([POINT], 0.3).values["mean"][0]
        np.testing.assert_allclose(own["later"][0], later, rtol=1e-12)
    assert found["moving.trust"]["zeros"][-1][1] == 0.0


def test_a_stock_inference_client_sends_and_gets_tensors(
    answers: Any, moving: ReducedModel
) -> None:
    found = answers["inference"]
    assert found["live"]
    assert found["ready"]
    assert found["model ready"]
    assert found["version ready"]
    assert found["server"]["name"] == "romflow"
    assert [t["name"] for t in found["model"]["inputs"]] == ["height", "power"]
    field = moving.query(MANY, select="fields")
    quantity = moving.query(MANY)
    for way in ("bytes True", "bytes False"):
        np.testing.assert_allclose(found[way]["flux"], field.values["flux"], rtol=1e-12)
        np.testing.assert_allclose(found[way]["mean"], quantity.values["mean"], rtol=1e-12)
        np.testing.assert_allclose(found[way]["indicator"], quantity.eta, rtol=1e-9)
        assert found[way]["in_range"] == [True] * 3
    assert found["parameters"]["in_range"] is True
    assert "expected" in found["unknown"].lower()


def test_the_reader_of_vtk_finds_mesh_fields_and_times(answers: Any, moving: ReducedModel) -> None:
    found = answers["vtk"]
    assert found["times"] == moving.times.tolist()
    flux = moving.query([POINT], select="fields").values["flux"][0]
    np.testing.assert_allclose(found["flux"], flux, rtol=1e-12)
    points = moving.parts.space.points["vertex"]
    np.testing.assert_allclose(np.array(found["points"])[:, :2], points)
    assert found["cells"] == len(moving.parts.space.cells["vertex"])


# The fuzzer finds names of models by chance only.
CONFIG = """
[parameters]
"path.name" = "moving"
"path.location" = "vertex"
"path.version" = 1
"""


def test_fuzzing_by_the_document_finds_no_failure_of_the_service(
    clients_python: Path, clients: Any, tmp_path: Path
) -> None:
    def compute(*_: object) -> Any:
        return {"errors": {}}, {"flux": np.zeros((1, 3))}

    jobs = LocalJobs(compute, compute)
    address = clients(jobs=jobs, rate=None).base_url
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    checks = (
        "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance"
    )
    command = [
        clients_python.with_name("schemathesis"), "run", f"{address}/openapi.json",
        "--checks", checks, "--max-examples", "6", "--seed", "1", "--no-color",
        "--phases", "examples,fuzzing", "--generation-database", "none",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(), timeout=300,
        cwd=tmp_path,
    )  # fmt: skip
    jobs.close()
    assert done.returncode == 0, done.stdout + done.stderr
