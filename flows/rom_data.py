"""The dataset of a reduced model: it is computed, read, and grows by rounds of further samples.

Each round is on disk, in ``draws/`` of the dataset, before any of its simulations starts, with the
enrichment that asked for it: its settings, and the number of rounds before it. An enrichment that
begins again goes through its own rounds and computes only what is missing. Rounds before these
belong to its first model, and do not count for its budget.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import final

import numpy as np

from flows.beside import alone
from flows.plan import Plan, prepare
from flows.rom_design import rom_design, with_rounds
from flows.rom_snapshots import ChosenQuantities
from flows.rom_study import RomStudy
from infra.errors import UserError
from infra.records import DrawRecord, Sample
from infra.store import SnapshotStore
from infra.zarr_store import open_store
from rom.enrichment import EnrichmentSettings
from rom.regions import Region
from rom.snapshots import Snapshots
from rom.store_snapshots import StoreSnapshots
from solvers.chunk import load_mesh

__all__ = ["Compute", "RomData"]

# Computes the chunks of a plan; raises if nothing can be computed any more.
type Compute = Callable[[Plan], None]

_VERTEX = "vertex"


@final
class RomData:
    """See the module.

    Parameters
    ----------
    rom : what is built
    compute : runs chunks
    retry_failed : whether samples that failed before are tried again

    Attributes
    ----------
    made : samples that are fixed beforehand, and places for later ones
    rounds : indices of the samples of each round that were added by now
    first_rounds : how many of these belong to the first model

    Raises
    ------
    UserError
        If the study is wrong.
    """

    def __init__(self, rom: RomStudy, compute: Compute, *, retry_failed: bool = False) -> None:
        self.rom, self.made = rom, rom_design(rom)
        self.rounds: tuple[tuple[int, ...], ...] = ()
        self.first_rounds, self._purpose = 0, ""
        self._compute, self._retry = compute, retry_failed

    @property
    def store(self) -> SnapshotStore:
        """The dataset; it exists once `compute` was called."""
        return open_store(self.rom.data.dataset)

    @property
    def wanted(self) -> tuple[int, ...]:
        """Samples to build from: those fixed beforehand and those of all rounds."""
        return (*self.rom.training, *(i for part in self.rounds for i in part))

    @property
    def trained(self) -> tuple[int, ...]:
        """Samples to build from that could be computed."""
        return self._committed(self.wanted)

    @property
    def held_out(self) -> tuple[int, ...]:
        """Held-out samples that could be computed."""
        return self._committed(self.rom.held_out)

    @property
    def lost(self) -> tuple[int, ...]:
        """Samples of both kinds that could not be computed."""
        wanted = (*self.wanted, *self.rom.held_out)
        return tuple(sorted(set(wanted) - set(self._committed(wanted))))

    def compute(self) -> None:
        """Compute what is missing.

        Raises
        ------
        RomflowError
            If the dataset cannot be made, or nothing can be computed any more.
        """
        study = self.rom.data
        made = with_rounds(self.made, self.rounds, self.rom.study.run.chunk_size)
        with alone(study):
            plan = prepare(study, retry_failed=self._retry, made=made)
            self._retry = False
            if plan.chunks:
                self._compute(plan)

    def begin_enrichment(self, settings: EnrichmentSettings, *, anew: bool = False) -> None:
        """Take the rounds of earlier enrichments, and compute what is missing of them.

        Parameters
        ----------
        settings : of the enrichment that begins, or begins again
        anew : whether it is another one also if the last one had the same settings
        """
        draws, asked = self.store.draws(), _asked(settings, self.rom.study.sampling.seed)
        last = draws[-1].purpose if draws else ""
        known, _, before = last.rpartition("@")
        goes_on = not anew and known == asked and before.isdigit()
        self.first_rounds = int(before) if goes_on else len(draws)
        self._purpose = f"{asked}@{self.first_rounds}"
        first = draws[: self.first_rounds]
        self.rounds = tuple(tuple(sample.index for sample in draw.samples) for draw in first)
        if first:
            self.compute()

    @property
    def room(self) -> int:
        """Number of samples that can still be added."""
        return len(self.store.description.undrawn)

    @property
    def own(self) -> int:
        """Number of samples on disk that the present enrichment has asked for."""
        return sum(len(draw.samples) for draw in self.store.draws()[self.first_rounds :])

    def add(self, samples: Sequence[Sample]) -> int:
        """Compute one more round: the one that was begun before, else these samples.

        Returns
        -------
        int
            How many samples it has; 0 if there is no room, or none is possible.
        """
        before, number = self.store.draws(), len(self.rounds)
        if number < len(before):
            drawn = tuple(sample.index for sample in before[number].samples)
        else:
            drawn = self._draw(samples)
        if drawn:
            self.rounds = (*self.rounds, drawn)
            self.compute()
        return len(drawn)

    def snapshots(self, indices: Iterable[int]) -> Snapshots:
        """Return the model's fields and quantities of some committed samples."""
        bounds = {p.name: (p.low, p.high) for p in self.made.space.parameters}
        found = StoreSnapshots(self.store, indices, self.rom.fields or None, bounds=bounds)
        return ChosenQuantities(found, self.rom.quantities) if self.rom.quantities else found

    def regions(self) -> dict[str, Region]:
        """Return the named parts of the boundary, as far as the model's fields live on vertices."""
        mesh = load_mesh(self.rom.data.dataset / "mesh.npz")
        infos = self.snapshots(self.trained).space.fields
        if not any(f.location == _VERTEX and f.size == mesh.n_vertices for f in infos):
            return {}
        parts = {name: np.unique(mesh.facets[mesh.tags == tag]) for name, tag in mesh.names.items()}
        return {name: Region(_VERTEX, nodes) for name, nodes in parts.items() if nodes.size}

    def _draw(self, samples: Sequence[Sample]) -> tuple[int, ...]:
        store = self.store
        free = sorted(store.description.undrawn)
        possible = [sample.mu for sample in samples if self._possible(sample)]
        chosen = [
            Sample(index, mu, store.samples[index].seed)
            for index, mu in zip(free, possible, strict=False)
        ]
        if chosen:
            store.draw(DrawRecord(tuple(chosen), {}, self._purpose))
        return tuple(sample.index for sample in chosen)

    def _possible(self, sample: Sample) -> bool:
        try:
            self.made.problem.check(sample.mu)
        except UserError:
            return False
        return True

    def _committed(self, indices: Iterable[int]) -> tuple[int, ...]:
        known = self.store.committed()
        return tuple(index for index in indices if index in known)


def _asked(settings: EnrichmentSettings, seed: int) -> str:
    """Return what decides which samples an enrichment asks for; when it ends does not."""
    return f"enrichment batch={settings.batch} pool={settings.pool} seed={seed}"
