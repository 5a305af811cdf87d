from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from infra.errors import UserError
from infra.field_space import FieldSpace, Prescribed
from surrogates.batch import Batch
from surrogates.inputs import InputSpec
from surrogates.networks.graph import mesh_graph
from surrogates.networks.message_passing import MessagePassing, MessagePassingSettings
from surrogates.surrogate import Mode, Surrogate

type Batches = Callable[[Surrogate, int], Batch]


def model_of(space: FieldSpace, inputs: InputSpec, mode: Mode, layers: int = 2) -> MessagePassing:
    settings = MessagePassingSettings(width=8, layers=layers)
    return MessagePassing.build(space, inputs, mode, settings, seed=3)


def renumbered(space: FieldSpace, new: np.ndarray) -> FieldSpace:
    """The same mesh where vertex i is called new[i]."""
    points, cells = space.points_of("vertex"), space.cells_of("vertex")
    prescribed = tuple(
        Prescribed(p.field, new[p.nodes], p.parameter, p.value) for p in space.prescribed
    )
    return replace(
        space,
        points={"vertex": points[np.argsort(new)]},
        cells={"vertex": new[cells]},
        prescribed=prescribed,
    )


@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_another_numbering_of_the_mesh_gives_the_same_frame(
    heated: FieldSpace, inputs: InputSpec, batch_of: Batches, mode: Mode
) -> None:
    new = np.random.default_rng(5).permutation(heated.n_values)
    old = torch.tensor(np.argsort(new))
    model = model_of(heated, inputs, mode)
    batch = batch_of(model, 3)
    other = model_of(renumbered(heated, new), inputs, mode)
    other.load_state_dict(model.state_dict())
    state = None if batch.state is None else batch.state[:, old]
    expected = model(batch.inputs, batch.state)[:, old]
    torch.testing.assert_close(other(batch.inputs, state), expected, rtol=1e-5, atol=1e-3)


def test_a_change_farther_away_than_the_layers_reach_has_no_effect(
    heated: FieldSpace, inputs: InputSpec, batch_of: Batches
) -> None:
    layers, node = 2, 40
    model = model_of(heated, inputs, "autoregressive", layers)
    batch = batch_of(model, 2)
    graph = mesh_graph(heated.points_of("vertex"), heated.cells_of("vertex"))
    edges = (np.ones(graph.n_edges), (graph.receivers, graph.senders))
    shape = (graph.n_nodes, graph.n_nodes)
    away = shortest_path(coo_array(edges, shape=shape).tocsr(), unweighted=True, indices=node)
    assert batch.state is not None
    changed = batch.state.clone()
    changed[:, node] += 50.0
    difference = (model(batch.inputs, changed) - model(batch.inputs, batch.state)).abs().amax(0)
    assert (difference[torch.tensor(away > layers)] == 0).all()
    assert (difference[torch.tensor(away == layers)] > 0).any()
    assert (away > layers).any()


@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_every_weight_has_a_gradient(
    space: FieldSpace, inputs: InputSpec, batch_of: Batches, mode: Mode
) -> None:
    model = model_of(space, inputs, mode)
    batch = batch_of(model, 3)
    model.loss(model(batch.inputs, batch.state), batch).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("mode", ["direct", "autoregressive"])
def test_the_loss_falls_threefold_on_few_items(
    space: FieldSpace, inputs: InputSpec, batch_of: Batches, mode: Mode
) -> None:
    model = model_of(space, inputs, mode)
    batch = batch_of(model, 4)
    losses = []
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(50):
        optimiser.zero_grad()
        loss = model.loss(model(batch.inputs, batch.state), batch)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 3


def test_items_of_a_batch_do_not_see_each_other(
    space: FieldSpace, inputs: InputSpec, batch_of: Batches
) -> None:
    model = model_of(space, inputs, "autoregressive")
    batch = batch_of(model, 4)
    assert batch.state is not None
    whole = model(batch.inputs, batch.state)
    alone = torch.cat([model(batch.inputs[[i]], batch.state[[i]]) for i in range(4)])
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-3)


def test_a_space_without_cells_is_refused(heated: FieldSpace, inputs: InputSpec) -> None:
    with pytest.raises(UserError, match="cells over `vertex`"):
        model_of(replace(heated, cells={}), inputs, "direct")
