"""Which model of a structure has answered, and how far it can be trusted, in words."""

from rom.answer import Answer
from rom.model_card import ModelCard

__all__ = ["structure_tolerance", "trust_text"]


def structure_tolerance(card: ModelCard) -> float | None:
    """Return the tolerance of a structure's indicator; None for models of fields."""
    found = card.settings.get("tolerance")
    return found if card.kind == "structure" and isinstance(found, float) else None


def trust_text(card: ModelCard, answer: Answer, tolerance: float) -> str:
    """Say which model has answered, and how far it can be trusted."""
    level, eta = f"Level used: {answer.level_used}.", float(answer.eta[0])
    if answer.level_used == "full":
        return f"{level} No reduced model takes part."
    side = "above" if eta > tolerance else "within"
    text = (
        f"{level} Indicator {eta:.3g}, {side} the tolerance of {tolerance:g}: {card.trust.kind}; "
        f"errors of single times are below it with a probability of {answer.coverage:.1%}."
    )
    return text if answer.in_range[0] else f"{text} Beware, out of range: {answer.reasons[0]}."
