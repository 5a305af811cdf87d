"""Files of answers."""

from io import BytesIO
from typing import Any

import h5py
import numpy as np
import pytest
from httpx import Client

from rom.reduced_model import ReducedModel

PATH = "/api/models/moving/download"
MU = ["height=0.4", "power=3.0"]
QUERY = [[0.4, 3.0]]


def test_fields_come_as_vtkhdf_with_mesh_and_steps(client: Client, moving: ReducedModel) -> None:
    reply = client.get(PATH, params={"mu": MU})
    assert reply.headers["content-disposition"] == 'attachment; filename="moving-v0001.vtkhdf"'
    expected = moving.query(QUERY, select="fields").values
    space = moving.parts.space
    with h5py.File(BytesIO(reply.content)) as file:
        root = file["VTKHDF"]
        assert root.attrs["Type"] == b"UnstructuredGrid"
        assert root.attrs["Version"].tolist() == [2, 2]
        np.testing.assert_array_equal(root["Points"][:, :2], space.points["vertex"])
        assert not root["Points"][:, 2].any()
        cells = root["Connectivity"][:].reshape(-1, 3)
        np.testing.assert_array_equal(cells, space.cells["vertex"])
        assert root["Offsets"][:].tolist() == list(range(0, 3 * len(cells) + 1, 3))
        assert set(root["Types"][:]) == {5}
        np.testing.assert_array_equal(root["Steps/Values"], moving.times)
        for name, values in expected.items():
            starts = root[f"Steps/PointDataOffsets/{name}"][:]
            stored = root[f"PointData/{name}"]
            for k, start in enumerate(starts):
                np.testing.assert_allclose(stored[start : start + 49], values[0, k], rtol=1e-12)


def test_arrays_and_tables_are_downloaded_by_an_address(
    client: Client, moving: ReducedModel
) -> None:
    params: dict[str, Any] = {"mu": MU, "format": "npy", "names": "flux", "time": [0.3, 0.4]}
    received = np.load(BytesIO(client.get(PATH, params=params).content))
    assert received.shape == (1, 2, 49)
    lines = client.get(PATH, params={"mu": MU, "format": "csv"}).text.splitlines()
    assert len(lines) == 1 + len(moving.times)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"mu": ["height=0.4"]}, "power: missing"),
        ({"mu": [*MU, "height=0.5"]}, "each name once"),
        ({"mu": ["height", "power=1"]}, "name=number"),
        ({"mu": ["height=nan", "power=1"]}, "name=number"),
        ({}, "mu"),
        ({"mu": MU, "names": "speed"}, "speed"),
        ({"mu": MU, "format": "npy"}, "one field"),
        ({"mu": MU, "format": "exe"}, "format"),
        ({"mu": MU, "time": "nan"}, "finite"),
        ({"mu": MU, "time": "7"}, "times"),
    ],
)
def test_bad_addresses_are_refused(client: Client, params: Any, text: str) -> None:
    reply = client.get(PATH, params=params)
    assert reply.status_code == 422
    assert text in reply.json()["error"]["message"]
