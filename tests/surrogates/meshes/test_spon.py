from collections.abc import Callable

import numpy as np
import pytest
import torch

from infra.field_space import FieldInfo, FieldSpace, Prescribed
from solvers.mesh import FloatArray, IntArray
from surrogates.batch import Batch
from surrogates.inputs import InputSpec
from surrogates.networks.hierarchy import mesh_hierarchy
from surrogates.networks.multigrid import MultigridCycle, MultigridMaps
from surrogates.networks.spon import Spon, SponSettings
from surrogates.surrogate import Mode, Surrogate

type Mesh = tuple[FloatArray, IntArray]
type Square = Callable[[int], Mesh]
type Batches = Callable[[Surrogate, int], Batch]

MODES = pytest.mark.parametrize("mode", ["direct", "autoregressive"])


def model_of(space: FieldSpace, inputs: InputSpec, mode: Mode, cycles: int = 1) -> Spon:
    return Spon.build(space, inputs, mode, SponSettings(width=8, cycles=cycles), seed=3)


def train(model: Spon, batch: Batch, steps: int) -> list[float]:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = model.loss(model(batch.inputs, batch.state), batch)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def expected_at(entry: Prescribed, rows: torch.Tensor, inputs: InputSpec) -> torch.Tensor:
    if entry.parameter is None:
        return torch.full((len(rows), len(entry.nodes)), entry.value)
    column = inputs.names.index(entry.parameter)
    return rows[:, [column]].expand(-1, len(entry.nodes))


@MODES
def test_prescribed_values_are_exact_before_and_after_training(
    space: FieldSpace, inputs: InputSpec, batch_of: Batches, mode: Mode
) -> None:
    model = model_of(space, inputs, mode)
    batch = batch_of(model, 3)
    for steps in (0, 3):
        train(model, batch, steps)
        prediction = model(batch.inputs, batch.state)
        for entry in space.prescribed:
            found = prediction[:, space.slices[entry.field]][:, entry.nodes]
            assert torch.equal(found, expected_at(entry, batch.inputs, inputs))


def test_every_frame_of_a_rollout_after_the_first_has_the_exact_boundary(
    heated: FieldSpace, inputs: InputSpec, batch_of: Batches
) -> None:
    model = model_of(heated, inputs, "autoregressive")
    batch = batch_of(model, 2)
    frames = model.rollout(batch.inputs[:, :2], torch.tensor([0.0, 0.1, 0.2]), batch.state)
    left = heated.prescribed[0].nodes
    expected = batch.inputs[:, :1].expand(-1, len(left))
    assert torch.equal(frames[:, 1][:, left], expected)
    assert torch.equal(frames[:, 2][:, left], expected)


def test_the_state_given_at_prescribed_places_does_not_matter(
    heated: FieldSpace, inputs: InputSpec, batch_of: Batches
) -> None:
    model = model_of(heated, inputs, "autoregressive")
    batch = batch_of(model, 2)
    assert batch.state is not None
    wrong = batch.state.clone()
    wrong[:, heated.prescribed[0].nodes] += 1e3
    assert torch.equal(model(batch.inputs, wrong), model(batch.inputs, batch.state))


def test_a_network_that_says_nothing_predicts_the_lifting(
    heated: FieldSpace, inputs: InputSpec, batch_of: Batches
) -> None:
    model = model_of(heated, inputs, "direct")
    batch = batch_of(model, 2)
    with torch.no_grad():
        model.decoder.out.weight.zero_()
        model.decoder.out.bias.zero_()
    prediction = model(batch.inputs)
    low = torch.minimum(batch.inputs[:, :1], torch.tensor(273.15))
    high = torch.maximum(batch.inputs[:, :1], torch.tensor(273.15))
    assert (prediction >= low - 1e-2).all()
    assert (prediction <= high + 1e-2).all()
    middle = heated.points_of("vertex")[:, 0]
    rising = np.argsort(middle)
    mean = prediction[0].detach().numpy()
    assert abs(np.corrcoef(middle[rising], mean[rising])[0, 1]) > 0.99


@MODES
def test_every_weight_has_a_gradient(
    space: FieldSpace, inputs: InputSpec, batch_of: Batches, mode: Mode
) -> None:
    model = model_of(space, inputs, mode, cycles=2)
    batch = batch_of(model, 3)
    model.loss(model(batch.inputs, batch.state), batch).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@MODES
def test_the_loss_falls_threefold_on_few_items(
    heated: FieldSpace, inputs: InputSpec, batch_of: Batches, mode: Mode
) -> None:
    model = model_of(heated, inputs, mode)
    batch = matching(batch_of(model, 4), heated)
    losses = train(model, batch, 60)
    assert losses[-1] < losses[0] / 3


def matching(batch: Batch, space: FieldSpace) -> Batch:
    """Targets that have the prescribed values, as those of a solver have."""
    target = batch.target.clone()
    left, right = (entry.nodes for entry in space.prescribed)
    target[:, left], target[:, right] = batch.inputs[:, :1], 273.15
    return Batch.of(batch.inputs, target, batch.state)


def test_without_prescribed_values_both_modes_work(
    square: Square, inputs: InputSpec, batch_of: Batches
) -> None:
    points, cells = square(4)
    field = FieldInfo("temperature", "K", len(points), "vertex")
    heat = FieldSpace((field,), {"vertex": points}, {"vertex": cells})
    for mode in ("direct", "autoregressive"):
        model = model_of(heat, inputs, mode)
        batch = batch_of(model, 2)
        assert torch.isfinite(model(batch.inputs, batch.state)).all()


def test_one_cycle_carries_information_over_the_whole_mesh(square: Square) -> None:
    points, cells = square(24)
    ladder = mesh_hierarchy(points, cells, np.random.default_rng(0))
    torch.manual_seed(0)
    cycle = MultigridCycle(len(ladder), 4, 1, 0, 2, 1)
    features = torch.randn(len(points), 1, 4, requires_grad=True)
    result = cycle(features, torch.zeros(1, 1), None, MultigridMaps(ladder))
    far = int(np.argmax(points.sum(axis=1)))
    result[far].square().sum().backward()
    assert features.grad is not None
    assert (features.grad.abs().amax(dim=(1, 2)) > 0).float().mean() > 0.95


def test_a_copy_with_the_same_weights_predicts_the_same_bits(
    space: FieldSpace, inputs: InputSpec, batch_of: Batches
) -> None:
    model = model_of(space, inputs, "autoregressive")
    batch = batch_of(model, 2)
    copy = Spon.build(space, inputs, "autoregressive", model.settings, seed=9)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy(batch.inputs, batch.state), model(batch.inputs, batch.state))


def test_weights_alone_are_saved(heated: FieldSpace, inputs: InputSpec) -> None:
    small = model_of(heated, inputs, "direct")
    names = set(small.state_dict()) - {name for name, _ in small.named_parameters()}
    assert all(name.startswith("normalisation.") for name in names)
