import numpy as np
import torch
from scipy.sparse import csr_array

from infra.field_space import FieldSpace
from surrogates.networks.channels import NodeChannels, base_location
from surrogates.networks.sparse import SparseMap


def some_matrix() -> csr_array:
    """A sparse matrix with an empty row and an empty column."""
    dense = np.random.default_rng(0).normal(size=(7, 5))
    dense[np.abs(dense) < 0.7] = 0.0
    dense[3, :] = dense[:, 2] = 0.0
    return csr_array(dense)


def test_a_map_is_the_product_with_the_matrix_for_any_further_axes() -> None:
    matrix = some_matrix()
    values = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = np.einsum("mn,nbh->mbh", matrix.toarray(), values.numpy())
    np.testing.assert_allclose(SparseMap(matrix)(values).numpy(), expected, atol=1e-6)


def test_the_gradient_of_a_map_is_the_transposed_product() -> None:
    matrix = some_matrix()
    values = torch.randn(5, 4, requires_grad=True)
    weights = torch.randn(7, 4)
    (SparseMap(matrix)(values) * weights).sum().backward()
    assert values.grad is not None
    expected = matrix.toarray().T @ weights.numpy()
    np.testing.assert_allclose(values.grad.numpy(), expected, atol=1e-6)


def test_double_precision_passes_the_finite_difference_check() -> None:
    values = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SparseMap(some_matrix()), (values,))


def test_a_map_is_no_part_of_the_saved_weights() -> None:
    assert SparseMap(some_matrix()).state_dict() == {}


def test_frames_return_exactly_from_the_nodes(space: FieldSpace) -> None:
    channels = NodeChannels(space)
    frames = torch.randn(3, space.n_values)
    at_nodes = channels.to_nodes(frames)
    assert at_nodes.shape == (len(space.points_of(base_location(space))), 3, len(space.fields))
    assert torch.equal(channels.to_frames(at_nodes), frames)


def test_a_flow_works_on_its_velocity_nodes(flow: FieldSpace) -> None:
    assert base_location(flow) == "node"
