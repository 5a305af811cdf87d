"""How local bases are searched for."""

from typing import Annotated, Literal, final

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

__all__ = ["LocalSettings"]

type _Clusters = Annotated[int, Field(ge=2)]
type _Name = Literal["nearest-medoid", "nearest-members", "logistic"]


@final
class LocalSettings(BaseModel):
    """Settings of `rom.local.choice.choose_bases`.

    Attributes
    ----------
    candidates
        Numbers of clusters that are tried; one basis is always compared.
    classifiers
        Names of the classifiers that are tried.
    dissimilarity
        ``"sine"`` of angles, or ``"euclidean"`` distance (of steady solutions, or where the time
        is a coordinate).
    trajectory_modes
        Most modes of a trajectory where whole trajectories are clustered.
    folds
        Parts of the trajectories that cross-validation leaves out in turn.
    share
        Share of the training points that lies in a transition between clusters; their snapshots
        belong to the bases of both sides. 0: bases are switched.
    least_gain
        The criterion g above which local bases are taken. Above 1, because the largest of many
        measured gains is larger than the true one.
    centre
        Whether each basis has the mean of its snapshots as centre.
    starts
        Starts of each clustering.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: tuple[_Clusters, ...] = (2, 3, 4, 6, 8)
    classifiers: tuple[_Name, ...] = ("nearest-medoid", "nearest-members", "logistic")
    dissimilarity: Literal["sine", "euclidean"] = "sine"
    trajectory_modes: PositiveInt = 3
    folds: Annotated[int, Field(ge=2)] = 5
    share: Annotated[float, Field(ge=0, lt=1)] = 0.15
    least_gain: Annotated[float, Field(ge=1)] = 1.05
    centre: bool = True
    starts: PositiveInt = 4
