"""What single architectures promise beyond the laws of all."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from infra.records import Json
from surrogates.architectures import build_surrogate
from surrogates.batch import Batch
from surrogates.inputs import InputSpec
from surrogates.networks.grid_bridge import GridBridge

type Spaces = Callable[..., FieldSpace]


def test_fields_go_to_the_grid_and_back(flow_space: Spaces) -> None:
    space = flow_space()
    bridge = GridBridge(space, 17)
    linear = [2 * p[:, 0] - p[:, 1] + 1 for p in (space.points[f.location] for f in space.fields)]
    frame = torch.from_numpy(np.concatenate(linear)).float()[None]
    images = bridge.to_grid(frame)
    assert images.shape == (1, 3, 17, 17)
    expected = torch.linspace(0, 2, 17)[:, None] - torch.linspace(0, 1, 17) + 1
    torch.testing.assert_close(images[0], expected.expand(3, 17, 17), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bridge.to_mesh(images), frame, rtol=1e-5, atol=1e-5)


def test_the_channels_are_fields_inputs_coordinates_and_mask(flow_space: Spaces) -> None:
    bridge = GridBridge(flow_space(), 9)
    channels = bridge.channels(torch.tensor([[0.5, -0.5]]), None)
    assert channels.shape == (1, 2 + 3, 9, 9)
    assert (channels[0, 0] == 0.5).all()
    torch.testing.assert_close(channels[0, 2, :, 0], torch.linspace(-1, 1, 9))
    assert (channels[0, 4] == 1).all()


def test_a_hole_is_marked(square_space: Spaces) -> None:
    space = square_space(8)
    cells = space.cells["vertex"]
    middle = np.abs(space.points["vertex"][cells].mean(axis=1) - 0.5).max(axis=1)
    holed = FieldSpace(space.fields, space.points, {"vertex": cells[middle > 0.25]})
    mask = GridBridge(holed, None).static[-1]
    assert mask.shape == (9, 9)
    assert not mask[3:6, 3:6].any()
    assert mask.sum() == 81 - 9


@pytest.mark.parametrize("name", ["unet", "fno"])
@pytest.mark.parametrize("gdim", [1, 3])
def test_networks_on_grids_work_in_other_dimensions(
    name: str, gdim: int, inputs: InputSpec
) -> None:
    count = {1: 12, 3: 8}[gdim]
    space = _box(gdim, count)
    options: dict[str, Json] = {"unet": {"hidden": 4, "levels": 1}, "fno": {"hidden": 4}}[name]
    surrogate = build_surrogate(name, space, inputs, "autoregressive", options, 0)
    state = torch.rand(2, space.n_values)
    batch = Batch.of(torch.rand(2, 3), state + 1, state)
    surrogate.observe(batch)
    assert surrogate(batch.inputs, batch.state).shape == state.shape


@pytest.mark.parametrize("resolution", [8, 11, 13])
@pytest.mark.parametrize("name", ["unet", "uno"])
def test_odd_grids_are_halved_and_doubled(
    name: str, resolution: int, square_space: Spaces, inputs: InputSpec
) -> None:
    options: dict[str, Json] = {"hidden": 4, "resolution": resolution}
    surrogate = build_surrogate(name, square_space(5), inputs, "direct", options, 0)
    batch = Batch.of(torch.rand(2, 3), torch.rand(2, 72))
    surrogate.observe(batch)
    assert surrogate(batch.inputs).isfinite().all()


@pytest.mark.parametrize("name", ["fno", "tfno", "uno"])
def test_fourier_layers_keep_float32(name: str, square_space: Spaces, inputs: InputSpec) -> None:
    surrogate = build_surrogate(name, square_space(), inputs, "direct", {"hidden": 4}, 0)
    batch = Batch.of(torch.rand(2, 3), torch.rand(2, 162))
    surrogate.observe(batch)
    with torch.no_grad():
        expected = surrogate(batch.inputs)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(surrogate(batch.inputs), expected)


def test_a_tucker_form_has_fewer_numbers(square_space: Spaces, inputs: InputSpec) -> None:
    counts = [
        sum(p.numel() for p in build_surrogate(name, square_space(), inputs, "direct",
                                               {"hidden": 16}, 0).parameters())
        for name in ("tfno", "fno")
    ]  # fmt: skip
    assert counts[0] < 0.4 * counts[1]


def test_a_grid_too_small_for_fourier_layers_is_a_users_error(
    square_space: Spaces, inputs: InputSpec
) -> None:
    with pytest.raises(UserError, match="Raise `resolution`"):
        build_surrogate("fno", square_space(), inputs, "direct", {"resolution": 6}, 0)


def test_building_prints_nothing_and_leaves_the_warning_filters(
    square_space: Spaces, inputs: InputSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    before = list(warnings.filters)
    build_surrogate("uno", square_space(), inputs, "direct", {"hidden": 4}, 0)
    assert warnings.filters == before
    assert capfd.readouterr().out == ""


def test_deeponet_sees_a_state_through_few_sensors(square_space: Spaces, inputs: InputSpec) -> None:
    options: dict[str, Json] = {"sensors": 10, "branch": [8], "trunk": [8], "basis": 4}
    surrogate = build_surrogate("deeponet", square_space(), inputs, "autoregressive", options, 0)
    first = next(p for name, p in surrogate.named_parameters() if name.startswith("branch"))
    assert first.shape == (8, 3 + 10)


def test_deeponet_needs_points_but_no_cells(inputs: InputSpec) -> None:
    points = np.random.default_rng(0).random((20, 2))
    space = FieldSpace((FieldInfo("u", "1", 20, "particle"),), {"particle": points})
    surrogate = build_surrogate("deeponet", space, inputs, "direct", {}, 0)
    batch = Batch.of(torch.rand(2, 3), torch.rand(2, 20))
    surrogate.observe(batch)
    assert surrogate(batch.inputs).shape == (2, 20)
    with pytest.raises(UserError, match="cells over `particle`"):
        build_surrogate("unet", space, inputs, "direct", {}, 0)


def _box(gdim: int, count: int) -> FieldSpace:
    """Return a field on the points of a grid whose cubes are cut into simplices."""
    axis = np.linspace(0, 1, count)
    points = np.stack(np.meshgrid(*[axis] * gdim, indexing="ij"), -1).reshape(-1, gdim)
    if gdim == 1:
        cells = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    else:
        from scipy.spatial import Delaunay

        cells = Delaunay(points).simplices.astype(np.int64)
    return FieldSpace(
        (FieldInfo("u", "1", len(points), "vertex"),), {"vertex": points}, {"vertex": cells}
    )
