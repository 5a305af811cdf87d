r"""How badly each sample is learnt: the score that active sampling draws by. No torch here.

The loss :math:`\ell` of an item says little by itself, for all losses fall while the training goes
on. The *delta loss* compares it with its batch, mean :math:`\bar\ell` and standard deviation s:

.. math:: \delta = \max(0, (\ell - \bar\ell) / s).

The score of a sample is the mean of :math:`\delta` over the visits of its items. Only the last M
visits or so count, since those before speak of another model: beyond M visits the mean becomes an
exponential one,

.. math:: Q \leftarrow Q + (\delta - Q) / \min(k, M) \quad \text{at visit } k.

Source: Breed, arXiv:2410.05860 (2024); the forgetting is ours.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infra.errors import StoreError, UserError, storage_errors
from surrogates.states import State

__all__ = ["Mood", "SampleScores", "Told", "delta_losses", "read_scores"]

type Mood = Literal["learning", "waiting", "over"]
"""What a trainer does: ``waiting``: it has trained on what there is as far as it may."""


@final
@dataclass(frozen=True)
class Told:
    """What a trainer has told of its samples.

    Attributes
    ----------
    scores
        By sample, those visited last stand last.
    visits
        How often items of each sample were trained on.
    mood
        What it does.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    visits: Mapping[int, int] = field(default_factory=dict)
    mood: Mood = "learning"


def delta_losses(losses: ArrayLike) -> NDArray[np.float64]:
    """Return the excess of each loss over the mean of its batch, in standard deviations, (B,).

    It is 0 where all losses are equal.
    """
    values = np.asarray(losses, dtype=np.float64)
    if not len(values):
        return values
    spread = values.std()
    if not spread > 0:
        return np.zeros_like(values)
    return np.maximum((values - values.mean()) / spread, 0.0)


@final
class SampleScores:
    """Scores by sample; 20 bytes each.

    Parameters
    ----------
    n_samples
        Samples are numbered 0 to n - 1.
    memory
        The number M of visits that count, >= 1.
    """

    def __init__(self, n_samples: int, memory: int) -> None:
        self._memory = max(memory, 1)
        self._scores = np.zeros(n_samples)
        self._visits = np.zeros(n_samples, dtype=np.int64)
        self._last = np.full(n_samples, -1, dtype=np.int64)
        self._batches = 0

    def note(self, samples: NDArray[np.int64], losses: ArrayLike) -> None:
        """Take the losses of one batch.

        Parameters
        ----------
        samples
            The sample of each item, (B,).
        losses
            The loss of each item, (B,). A batch in which one is not finite is passed over.
        """
        values = np.asarray(losses, dtype=np.float64)
        if not np.isfinite(values).all():
            return
        here, place, count = np.unique(samples, return_inverse=True, return_counts=True)
        mean = np.bincount(place, delta_losses(values)) / count
        self._visits[here] += count
        part = np.minimum(count / np.minimum(self._visits[here], self._memory), 1.0)
        self._scores[here] += part * (mean - self._scores[here])
        self._last[here] = self._batches
        self._batches += 1

    def scores(self) -> dict[int, float]:
        """Return the scores of the samples that were visited; those visited last stand last."""
        seen = self._seen()
        return dict(zip(seen.tolist(), self._scores[seen].tolist(), strict=True))

    def write(self, path: Path, mood: Mood = "learning") -> None:
        """Replace a file by the scores: readers see the old ones or the new, whole.

        Parameters
        ----------
        path
            The file.
        mood
            What the trainer does.

        Raises
        ------
        StorageFullError, StorageAccessError
            If it cannot be written.
        """
        seen = self._seen()
        columns = (seen.tolist(), self._scores[seen].tolist(), self._visits[seen].tolist())
        rows = [*zip(*columns, strict=True)]
        text = json.dumps({"batches": self._batches, "mood": mood, "scores": rows})
        staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with storage_errors(path):
            try:
                # Not flushed to the device: a checkpoint has them too.
                staged.write_text(text, encoding="utf-8")
                staged.replace(path)
            finally:
                staged.unlink(missing_ok=True)

    def _seen(self) -> NDArray[np.int64]:
        seen = np.flatnonzero(self._visits)
        return np.asarray(seen[np.argsort(self._last[seen], kind="stable")])

    def state(self) -> State:
        """Return everything that changes, for `restore`."""
        return {
            "scores": self._scores.copy(),
            "visits": self._visits.copy(),
            "last": self._last.copy(),
            "batches": self._batches,
        }

    def restore(self, state: State) -> None:
        """Go on from a state.

        Raises
        ------
        UserError
            If it is one of another number of samples.
        """
        scores = np.array(state["scores"], dtype=np.float64)
        if scores.shape != self._scores.shape:
            raise UserError(
                f"Expected the scores of {len(self._scores)} samples; received those of "
                f"{len(scores)}. The checkpoint is of another training: start anew."
            )
        self._scores = scores
        self._visits = np.array(state["visits"], dtype=np.int64)
        self._last = np.array(state["last"], dtype=np.int64)
        self._batches = int(cast(int, state["batches"]))


def read_scores(path: Path) -> Told:
    """Return what `SampleScores.write` wrote, in its order; nothing if there is no file.

    Raises
    ------
    StoreError
        If the file holds no scores.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        scores = {int(sample): float(score) for sample, score, _ in found["scores"]}
        visits = {int(sample): int(count) for sample, _, count in found["scores"]}
        return Told(scores, visits, found["mood"])
    except FileNotFoundError:
        return Told()
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: expected the scores of samples, received: {error}. Remove the file; the "
            "trainer writes it anew."
        ) from error
