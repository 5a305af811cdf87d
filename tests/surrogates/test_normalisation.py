import pytest
import torch
from torch import Tensor

from infra.errors import UserError
from surrogates.normalisation import Normalisation

_SIZES = (3, 5)


@pytest.fixture
def data(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return targets and states of very different fields, and weights."""
    scale = torch.tensor([300.0] * 3 + [1e-3] * 5)
    target = scale * (1 + torch.rand(20, 8, generator=generator))
    state = target + 0.01 * scale * torch.randn(20, 8, generator=generator)
    return target, state, 0.5 + torch.rand(20, generator=generator)


@pytest.mark.parametrize("cuts", [[20], [1, 19], [7, 6, 7], [1] * 20, [0, 20]])
def test_any_split_of_the_data_gives_the_statistics_of_the_whole(
    data: tuple[Tensor, Tensor, Tensor], cuts: list[int]
) -> None:
    running = Normalisation(_SIZES)
    for target, state, weight in zip(*(torch.split(part, cuts) for part in data), strict=True):
        running.merge(running.moments(target, state, weight))
    for i, (mean, std, change) in enumerate(_expected(*data)):
        torch.testing.assert_close(running.mean[i], mean, rtol=1e-10, atol=0)
        torch.testing.assert_close(running.deviation[i], std, rtol=1e-10, atol=0)
        torch.testing.assert_close(running.change_scale[i], change, rtol=1e-10, atol=0)


def test_merging_what_processes_saw_is_seeing_all_of_it(
    data: tuple[Tensor, Tensor, Tensor],
) -> None:
    target, state, weight = data
    whole, merged = Normalisation(_SIZES), Normalisation(_SIZES)
    whole.merge(whole.moments(target, state, weight))
    parts = [slice(0, 9), slice(9, 20), slice(20, 20)]
    for part in [merged.moments(target[p], state[p], weight[p]) for p in parts]:
        merged.merge(part)
    torch.testing.assert_close(merged.deviation, whole.deviation, rtol=1e-12, atol=0)


def test_a_sample_of_weight_two_counts_as_two(data: tuple[Tensor, Tensor, Tensor]) -> None:
    target, state, _ = data
    weighted, repeated = Normalisation(_SIZES), Normalisation(_SIZES)
    weight = torch.ones(20)
    weight[4], weight[5] = 2.0, 0.0
    weighted.merge(weighted.moments(target, state, weight))
    rows = [i for i in range(20) for _ in range(int(weight[i]))]
    repeated.merge(repeated.moments(target[rows], state[rows], torch.ones(20)))
    torch.testing.assert_close(weighted.mean, repeated.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(weighted.deviation, repeated.deviation, rtol=1e-12, atol=0)


def test_what_is_frozen_stays_also_after_loading(data: tuple[Tensor, Tensor, Tensor]) -> None:
    first, second = Normalisation(_SIZES), Normalisation(_SIZES)
    first.merge(first.moments(*data))
    first.freeze()
    second.load_state_dict(first.state_dict())
    for norm in (first, second):
        before = {name: value.clone() for name, value in norm.state_dict().items()}
        norm.merge(norm.moments(7 * data[0], None, data[2]))
        assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_normalising_and_back_is_the_identity(data: tuple[Tensor, Tensor, Tensor]) -> None:
    norm = Normalisation(_SIZES)
    norm.merge(norm.moments(*data))
    frames = norm.normalise(data[0])
    assert frames.abs().max() < 5
    torch.testing.assert_close(norm.denormalise(frames), data[0], rtol=1e-5, atol=0)


@pytest.mark.parametrize(("value", "scale"), [(300.1, 300.1), (0.0, 1.0), (-2e-9, 2e-9)])
def test_a_constant_field_has_a_finite_scale(value: float, scale: float) -> None:
    norm = Normalisation((4,))
    frames = torch.full((6, 4), value)
    for part in frames.split(2):
        norm.merge(norm.moments(part, part, torch.ones(2)))
    torch.testing.assert_close(norm.deviation.float(), torch.tensor([scale]))
    assert (norm.change_scale > 0).all()
    assert norm.normalise(frames).isfinite().all()


def test_a_field_that_hardly_changes_does_not_outweigh_the_others(
    data: tuple[Tensor, Tensor, Tensor],
) -> None:
    target, _, weight = data
    norm = Normalisation(_SIZES)
    norm.merge(norm.moments(target, target * (1 + 1e-6), weight))
    torch.testing.assert_close(norm.change_scale, 1e-3 * norm.deviation)


def test_weights_of_zero_leave_the_statistics(data: tuple[Tensor, Tensor, Tensor]) -> None:
    norm = Normalisation(_SIZES)
    norm.merge(norm.moments(data[0], data[1], torch.zeros(20)))
    with pytest.raises(UserError, match="observed data"):
        norm.require_data()
    norm.merge(norm.moments(*data))
    norm.require_data()
    before = norm.deviation
    norm.merge(norm.moments(data[0], data[1], torch.zeros(20)))
    torch.testing.assert_close(norm.deviation, before, rtol=0, atol=0)


def _expected(target: Tensor, state: Tensor, weight: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    rows = []
    for u, v in zip(
        torch.split(target, list(_SIZES), 1), torch.split(state, list(_SIZES), 1), strict=True
    ):
        u, v = u.double(), v.double()
        share = (weight.double() / weight.double().sum())[:, None].expand_as(u) / u.shape[1]
        mean = (share * u).sum()
        std = (share * (u - mean) ** 2).sum().sqrt()
        rows.append((mean, std, (share * (u - v) ** 2).sum().sqrt()))
    return rows
