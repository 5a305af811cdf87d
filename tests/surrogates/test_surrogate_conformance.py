"""Laws of every architecture in both modes; one that is added to the registry is tested here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from torch import Tensor

from infra.errors import UserError
from infra.field_space import FieldSpace
from infra.records import Json
from surrogates.architectures import ARCHITECTURES, build_surrogate
from surrogates.batch import Batch
from surrogates.inputs import InputSpec
from surrogates.saving import load_model, save_model
from surrogates.surrogate import Mode, Surrogate

type Spaces = Callable[..., FieldSpace]

# Small enough for a test; an architecture that is not named here is tested with its defaults.
_SMALL: Mapping[str, Mapping[str, Json]] = MappingProxyType(
    {
        "mlp": {"hidden": [32], "activation": "gelu"},
        "deeponet": {"branch": [32], "trunk": [32], "basis": 16, "sensors": 40},
        "fno": {"modes": 4, "hidden": 8, "layers": 2},
        "tfno": {"modes": 4, "hidden": 8, "layers": 2, "rank": 0.5},
        "uno": {"modes": 4, "hidden": 4},
        "unet": {"hidden": 8, "levels": 2},
    }
)


@pytest.fixture(params=sorted(ARCHITECTURES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["direct", "autoregressive"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return "direct" if request.param == "direct" else "autoregressive"


@pytest.fixture(params=["square", "flow"])
def space(request: pytest.FixtureRequest, square_space: Spaces, flow_space: Spaces) -> FieldSpace:
    return square_space() if request.param == "square" else flow_space()


@pytest.fixture
def batch(space: FieldSpace, inputs: InputSpec, mode: Mode, generator: torch.Generator) -> Batch:
    return _batch(space, inputs, mode, generator)


@pytest.fixture
def surrogate(
    name: str, space: FieldSpace, inputs: InputSpec, mode: Mode, batch: Batch
) -> Surrogate:
    surrogate = _build(name, space, inputs, mode)
    surrogate.observe(batch)
    return surrogate


def test_a_batch_gives_frames_in_float32(surrogate: Surrogate, batch: Batch) -> None:
    prediction = surrogate(batch.inputs, batch.state)
    assert prediction.shape == batch.target.shape
    assert prediction.dtype == torch.float32
    assert prediction.isfinite().all()


def test_numbers_of_double_precision_are_taken_too(surrogate: Surrogate, batch: Batch) -> None:
    state = None if batch.state is None else batch.state.double()
    prediction = surrogate(batch.inputs.double(), state)
    assert prediction.dtype == torch.float32
    expected = surrogate(batch.inputs, batch.state)
    torch.testing.assert_close(prediction, expected, rtol=1e-4, atol=1e-4)


def test_an_item_does_not_depend_on_the_others_of_its_batch(
    surrogate: Surrogate, batch: Batch
) -> None:
    one = batch.part(2, 3)
    with torch.no_grad():
        alone = surrogate(one.inputs, one.state)
        together = surrogate(batch.inputs, batch.state)[2:3]
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)


def test_an_empty_batch_gives_no_frames_and_reaches_every_weight(
    surrogate: Surrogate, batch: Batch
) -> None:
    empty = batch.part(0, 0)
    prediction = surrogate(empty.inputs, empty.state)
    surrogate.loss(prediction, empty).backward()
    assert prediction.shape == (0, surrogate.space.n_values)
    for parameter in surrogate.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


def test_the_gradient_reaches_every_weight(surrogate: Surrogate, batch: Batch) -> None:
    surrogate.loss(surrogate(batch.inputs, batch.state), batch).backward()
    for label, parameter in surrogate.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.any(), label


def test_the_seed_fixes_the_weights_and_leaves_the_global_generator(
    name: str, space: FieldSpace, inputs: InputSpec, mode: Mode
) -> None:
    before = torch.get_rng_state()
    first, again = (_build(name, space, inputs, mode, seed=3) for _ in range(2))
    other = _build(name, space, inputs, mode, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    pairs = zip(first.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_the_state_is_tensors_only_and_goes_into_another_object(
    name: str, surrogate: Surrogate, batch: Batch
) -> None:
    state = surrogate.state_dict()
    assert all(isinstance(value, Tensor) for value in state.values())
    other = _build(name, surrogate.space, surrogate.inputs, surrogate.mode, seed=9)
    other.load_state_dict(state)
    with torch.no_grad():
        expected = surrogate(batch.inputs, batch.state)
        assert torch.equal(other(batch.inputs, batch.state), expected)


def test_a_saved_surrogate_predicts_the_same_to_the_last_bit(
    surrogate: Surrogate, batch: Batch, tmp_path: Path
) -> None:
    save_model(surrogate, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    with torch.no_grad():
        expected = surrogate(batch.inputs, batch.state)
        assert torch.equal(loaded(batch.inputs, batch.state), expected)


def test_wrong_shapes_and_states_are_a_users_error(surrogate: Surrogate, batch: Batch) -> None:
    with pytest.raises(UserError, match=r"Expected inputs of shape \(B, 3\).*received \(5, 2\)"):
        surrogate(batch.inputs[:, :2], batch.state)
    with pytest.raises(UserError, match=r"Expected (a|no) state"):
        surrogate(batch.inputs, batch.target if batch.state is None else None)
    if batch.state is not None:
        with pytest.raises(UserError, match="Expected a state of shape"):
            surrogate(batch.inputs, batch.state[:, 1:])


def test_a_rollout_is_repeated_prediction(surrogate: Surrogate, batch: Batch) -> None:
    times = torch.tensor([0.5, 0.75, 1.5])
    start = None if batch.state is None else batch.state
    frames = surrogate.rollout(batch.inputs[:, :2], times, start)
    assert frames.shape == (batch.size, 3, surrogate.space.n_values)
    for k in range(2):
        row = torch.cat([batch.inputs[:, :2], times[k].expand(batch.size, 1)], dim=1)
        with torch.no_grad():
            if start is None:
                assert torch.equal(frames[:, k], surrogate(row))
            else:
                assert torch.equal(frames[:, k + 1], surrogate(row, frames[:, k]))


def test_other_units_of_the_data_change_the_predictions_alike(
    name: str, surrogate: Surrogate, batch: Batch
) -> None:
    if surrogate.space.prescribed:
        pytest.skip("prescribed values have units of their own")
    factor, shift = 40.0, -3.0
    state = None if batch.state is None else factor * batch.state + shift
    changed = Batch(batch.inputs, state, factor * batch.target + shift, batch.weight)
    other = _build(name, surrogate.space, surrogate.inputs, surrogate.mode)
    other.observe(changed)
    with torch.no_grad():
        expected = factor * surrogate(batch.inputs, batch.state) + shift
        received = other(changed.inputs, changed.state)
    torch.testing.assert_close(received, expected, rtol=1e-3, atol=1e-2)


def test_half_precision_predicts_nearly_the_same(surrogate: Surrogate, batch: Batch) -> None:
    with torch.no_grad():
        expected = surrogate(batch.inputs, batch.state)
        with torch.autocast("cpu", torch.bfloat16):
            received = surrogate(batch.inputs, batch.state)
    assert received.dtype == torch.float32
    assert (received - expected).norm() <= 0.05 * expected.norm()


def test_a_linear_map_is_learned(
    name: str, square_space: Spaces, inputs: InputSpec, mode: Mode, generator: torch.Generator
) -> None:
    space = square_space(7)
    batch = _batch(space, inputs, mode, generator, size=8)
    surrogate = _build(name, space, inputs, mode)
    surrogate.observe(batch)
    optimiser = torch.optim.Adam(surrogate.parameters(), lr=1e-2)
    losses = []
    while len(losses) < 150 and (len(losses) < 2 or losses[-1] > losses[0] / 10):
        optimiser.zero_grad()
        loss = surrogate.loss(surrogate(batch.inputs, batch.state), batch)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] <= losses[0] / 10


def _build(name: str, space: FieldSpace, inputs: InputSpec, mode: Mode, seed: int = 1) -> Surrogate:
    return build_surrogate(name, space, inputs, mode, _SMALL.get(name, {}), seed)


def _batch(
    space: FieldSpace, inputs: InputSpec, mode: Mode, generator: torch.Generator, size: int = 5
) -> Batch:
    """Return frames that depend linearly on the inputs, and on the states where there are some."""
    x = 2 * torch.rand(size, 3, generator=generator) - 1
    low, high = torch.tensor(inputs.low), torch.tensor(inputs.high)
    physical = (low + (x + 1) / 2 * (high - low)).float()
    shapes = torch.cat(
        [
            torch.stack([y[:, 0] + i, y[:, 1], y[:, 0] * y[:, 1]])
            for i, info in enumerate(space.fields)
            for y in [torch.from_numpy(space.points[info.location]).float()]
        ],
        dim=1,
    )
    field = x @ shapes
    if mode == "direct":
        return Batch.of(physical, 5 + field)
    state = 5 + x.flip(1) @ shapes
    return Batch.of(physical, state + 0.1 * field, state)
