"""The parts that all surrogates share: inputs, batches, fields, loss, registry, errors."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from infra.errors import StoreError, UserError
from infra.field_space import FieldInfo, FieldSpace, Prescribed
from surrogates.accuracy import relative_error, trajectory_error
from surrogates.architectures import ARCHITECTURES, architecture, build_surrogate, network_settings
from surrogates.batch import Batch
from surrogates.inputs import InputScaling, InputSpec
from surrogates.surrogate import Surrogate

type Spaces = Callable[..., FieldSpace]


@pytest.fixture
def surrogate(square_space: Spaces, inputs: InputSpec, batch: Batch) -> Surrogate:
    surrogate = build_surrogate("mlp", square_space(2), inputs, "autoregressive", {}, seed=0)
    surrogate.observe(batch)
    return surrogate


@pytest.fixture
def batch(generator: torch.Generator) -> Batch:
    inputs, state, change = (torch.rand(6, n, generator=generator) for n in (3, 18, 18))
    return Batch(inputs, state, state + 0.01 * change, 0.5 + torch.rand(6, generator=generator))


def test_bounds_are_scaled_to_minus_one_and_one(inputs: InputSpec) -> None:
    scaled = InputScaling(inputs)(torch.tensor([inputs.low, inputs.high]))
    torch.testing.assert_close(scaled, torch.tensor([[-1.0] * 3, [1.0] * 3]))


def test_the_middle_of_a_logarithmic_range_is_the_geometric_mean() -> None:
    spec = InputSpec.of({"viscosity": (1e-4, 1e-2), "speed": (-1, 1)}, (0, 1), ("viscosity",))
    scaled = InputScaling(spec)(torch.tensor([[1e-3, -0.5, 0.5]]))
    torch.testing.assert_close(scaled, torch.tensor([[0.0, -0.5, 0.0]]), atol=1e-6, rtol=0)


def test_a_constant_input_becomes_zero() -> None:
    spec = InputSpec.of({"a": (0.1, 0.1)}, (0.0, 0.0))
    assert not InputScaling(spec)(torch.tensor([[0.1, 0.0]])).any()


def test_the_vector_of_an_item_has_the_studys_order(inputs: InputSpec) -> None:
    np.testing.assert_array_equal(inputs.vector({"b": 2, "c": 9, "a": 1}, 0.5), [1, 2, 0.5])
    with pytest.raises(UserError, match=r"none of \['b'\]"):
        inputs.vector({"a": 1}, 0.5)


@pytest.mark.parametrize(
    ("names", "low", "high", "log"),
    [
        (("a", "b"), (0, 0), (1, 1), ()),
        (("a", "a", "time"), (0, 0, 0), (1, 1, 1), ()),
        (("a", "time"), (0,), (1,), ()),
        (("a", "time"), (2, 0), (1, 1), ()),
        (("a", "time"), (float("nan"), 0), (1, 1), ()),
        (("a", "time"), (0, 0), (1, 1), ("a",)),
    ],
)
def test_inputs_that_are_none_are_a_users_error(
    names: tuple[str, ...], low: tuple[float], high: tuple[float], log: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match="Expected"):
        InputSpec(names, low, high, log)


@pytest.mark.parametrize("times", [(0.0, 0.0), (1.0, 0.5), (0.0, float("nan"))])
def test_output_times_that_do_not_ascend_are_a_users_error(times: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="ascend"):
        InputSpec(("a", "time"), (0, 0), (1, 1), output_times=times)


def test_the_fields_lie_behind_each_other(flow_space: Spaces) -> None:
    space = flow_space(1)
    assert space.sizes == (9, 9, 4)
    assert space.n_values == 22
    assert space.slices["pressure"] == slice(18, 22)
    assert space.locations == ("node", "vertex")
    assert space.gdim == 2


def test_a_space_comes_back_from_text_and_arrays(square_space: Spaces) -> None:
    space = square_space(2, prescribed=True)
    again = FieldSpace.assemble(space.describe(), space.arrays())
    assert again.fields == space.fields
    np.testing.assert_array_equal(again.prescribed[1].nodes, space.prescribed[1].nodes)
    with pytest.raises(StoreError, match="prescribed"):
        FieldSpace.assemble({"fields": space.describe()["fields"]}, space.arrays())


def test_a_space_whose_parts_contradict_each_other_is_a_users_error() -> None:
    info = FieldInfo("u", "1", 3, "vertex")
    with pytest.raises(UserError, match="at least one field"):
        FieldSpace(())
    with pytest.raises(UserError, match="distinct names"):
        FieldSpace((info, info))
    with pytest.raises(UserError, match="Expected 3 points"):
        FieldSpace((info,), {"vertex": np.zeros((4, 2))})
    with pytest.raises(UserError, match="simplices"):
        FieldSpace((info,), {"vertex": np.zeros((3, 2))}, {"vertex": np.array([[0, 1, 3]])})
    with pytest.raises(UserError, match="prescribed places below 3"):
        FieldSpace((info,), prescribed=(Prescribed("u", np.array([3])),))


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"mlp"}))
def test_a_network_on_the_mesh_asks_for_the_mesh(name: str, inputs: InputSpec) -> None:
    space = FieldSpace((FieldInfo("u", "1", 30, "cell"),))
    with pytest.raises(UserError, match="positions of `cell`"):
        build_surrogate(name, space, inputs, "direct", {}, 0)


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"mlp, deeponet.*'fnoo'.*Did you mean 'fno'"):
        architecture("fnoo")


def test_wrong_settings_are_all_listed() -> None:
    with pytest.raises(UserError) as caught:
        network_settings("mlp", {"hidden": [0], "width": 3, "activation": "step"})
    for word in ("hidden.0", "width", "activation", "'step'"):
        assert word in str(caught.value)


def test_an_unknown_mode_is_a_users_error(square_space: Spaces, inputs: InputSpec) -> None:
    with pytest.raises(UserError, match="'implicit'"):
        build_surrogate("mlp", square_space(2), inputs, "implicit", {}, 0)  # type: ignore[arg-type]


def test_without_data_there_are_no_predictions(square_space: Spaces, inputs: InputSpec) -> None:
    surrogate = build_surrogate("mlp", square_space(2), inputs, "direct", {}, 0)
    with pytest.raises(UserError, match="observed data"):
        surrogate(torch.zeros(1, 3))


def test_batches_of_wrong_shapes_are_a_users_error(batch: Batch) -> None:
    with pytest.raises(UserError, match=r"weight \(B,\)"):
        Batch(batch.inputs[:2], None, batch.target, batch.weight)
    with pytest.raises(UserError, match="state of the target's shape"):
        Batch(batch.inputs, batch.target[:, 1:], batch.target, batch.weight)


def test_predicting_that_nothing_changes_has_loss_one(surrogate: Surrogate, batch: Batch) -> None:
    assert batch.state is not None
    torch.testing.assert_close(surrogate.loss(batch.state, batch), torch.tensor(1.0))


def test_predicting_the_mean_has_loss_one(
    square_space: Spaces, inputs: InputSpec, batch: Batch
) -> None:
    direct = build_surrogate("mlp", square_space(2), inputs, "direct", {}, 0)
    known = Batch(batch.inputs, None, batch.target, batch.weight)
    direct.observe(known)
    mean = direct.normalisation.spread(direct.normalisation.mean).expand_as(batch.target)
    torch.testing.assert_close(direct.loss(mean, known), torch.tensor(1.0))


def test_the_losses_of_parts_with_one_denominator_add_up(
    surrogate: Surrogate, batch: Batch
) -> None:
    prediction = surrogate(batch.inputs, batch.state)
    whole = surrogate.loss(prediction, batch)
    total = float(batch.weight.sum())
    cuts = [(0, 2), (2, 2), (2, 6)]
    parts = [surrogate.loss(prediction[a:b], batch.part(a, b), total) for a, b in cuts]
    torch.testing.assert_close(torch.stack(parts).sum(), whole)


def test_an_item_of_weight_zero_has_no_gradient(surrogate: Surrogate, batch: Batch) -> None:
    weight = batch.weight.clone()
    weight[3] = 0
    weighted = Batch(batch.inputs, batch.state, batch.target, weight)
    kept = [0, 1, 2, 4, 5]
    assert batch.state is not None
    fewer = Batch(batch.inputs[kept], batch.state[kept], batch.target[kept], batch.weight[kept])
    gradients = []
    for data in (weighted, fewer):
        surrogate.zero_grad()
        surrogate.loss(surrogate(data.inputs, data.state), data).backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in surrogate.parameters() if p.grad is not None])
        )
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)


def test_every_field_counts_alike_whatever_its_size_and_units(
    flow_space: Spaces, inputs: InputSpec, generator: torch.Generator
) -> None:
    space = flow_space(2)
    unit = torch.cat(
        [torch.full((n,), s) for n, s in zip(space.sizes, (1e-3, 1.0, 1e5), strict=True)]
    )
    target = unit * torch.randn(200, space.n_values, generator=generator)
    surrogate = build_surrogate("mlp", space, inputs, "direct", {"hidden": [4]}, 0)
    batch = Batch.of(torch.rand(200, 3, generator=generator), target)
    surrogate.observe(batch)
    losses = []
    for name in space.slices:
        prediction = target.clone()
        prediction[:, space.slices[name]] = 0
        losses.append(surrogate.loss(prediction, batch))
    torch.testing.assert_close(torch.stack(losses), torch.full((3,), 1 / 3), rtol=0.02, atol=0)


def test_a_rollout_without_times_is_a_users_error(surrogate: Surrogate, batch: Batch) -> None:
    with pytest.raises(UserError, match="at least one time"):
        surrogate.rollout(batch.inputs[:, :2], torch.zeros(0), batch.state)


def test_a_rollout_of_one_time_is_its_start(surrogate: Surrogate, batch: Batch) -> None:
    frames = surrogate.rollout(batch.inputs[:, :2], torch.zeros(1), batch.state)
    assert batch.state is not None
    assert torch.equal(frames[:, 0], batch.state)
    with pytest.raises(UserError, match="Expected a state"):
        surrogate.rollout(batch.inputs[:, :2], torch.zeros(1))


def test_relative_errors_are_by_field_and_free_of_units(flow_space: Spaces) -> None:
    space = flow_space(1)
    target = torch.rand(4, 5, space.n_values)
    prediction = target.clone()
    prediction[..., space.slices["pressure"]] *= 1.1
    expected = torch.tensor([0.0, 0.0, 0.1], dtype=torch.float64).expand(4, 5, 3)
    errors = relative_error(prediction, target, space)
    torch.testing.assert_close(errors, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(relative_error(1e3 * prediction, 1e3 * target, space), errors,
                               rtol=1e-5, atol=0)  # fmt: skip
    whole = trajectory_error(prediction, target, space)
    torch.testing.assert_close(whole, expected[:, 0], rtol=1e-5, atol=0)


def test_a_frame_at_rest_has_no_error_if_it_is_predicted_so(flow_space: Spaces) -> None:
    space = flow_space(1)
    zero = torch.zeros(1, space.n_values)
    assert not relative_error(zero, zero, space).any()
    assert relative_error(zero + 1, zero, space).isinf().all()
    with pytest.raises(UserError, match="one shape"):
        relative_error(zero, zero[:, 1:], space)
