"""The classifiers by name. A new one is a subclass of `Classifier` and a line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from infra.errors import StoreError, UserError
from rom.local.classifier import Classifier
from rom.local.logistic import Logistic
from rom.local.nearest_medoid import NearestMedoid
from rom.local.nearest_members import NearestMembers

__all__ = ["CLASSIFIERS", "classifier_from_state", "make_classifier"]

CLASSIFIERS: Mapping[str, type[Classifier]] = MappingProxyType(
    {kind.name: kind for kind in (NearestMedoid, NearestMembers, Logistic)}
)


def make_classifier(name: str) -> Classifier:
    """Return a classifier that has not been fitted.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    if name not in CLASSIFIERS:
        raise UserError(f"Expected a classifier out of {', '.join(CLASSIFIERS)}; received {name}.")
    return CLASSIFIERS[name]()


def classifier_from_state(
    arrays: Mapping[str, NDArray[Any]], text: Mapping[str, object]
) -> Classifier:
    """Return the classifier of a state of any kind.

    Raises
    ------
    StoreError
        If the kind is unknown, or an array is missing.
    """
    kind = CLASSIFIERS.get(str(text.get("kind")))
    if kind is None:
        raise StoreError(
            f"Expected the state of a classifier out of {', '.join(CLASSIFIERS)}; received the "
            f"kind {text.get('kind')!r}. The folder is damaged or of a newer version of romflow."
        )
    return kind.from_state(arrays, text)
