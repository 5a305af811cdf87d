"""Which model of a structure has answered, and how far it can be trusted, in words."""

from rom.answer import Answer
from rom.model_card import ModelCard
from rom.structures.trust import coverage_text, structure_tolerance

__all__ = ["structure_tolerance", "trust_text"]


def trust_text(card: ModelCard, answer: Answer, tolerance: float) -> str:
    """Say which model has answered, and how far it can be trusted."""
    level, eta = f"Level used: {answer.level_used}.", float(answer.eta[0])
    if answer.level_used == "full":
        return f"{level} No reduced model takes part."
    side = "above" if eta > tolerance else "within"
    text = f"{level} Indicator {eta:.3g}, {side} the tolerance of {tolerance:g}: {card.trust.kind}"
    if not answer.in_range[0]:
        return f"{text}. Beware, out of range: {answer.reasons[0]}. Nothing is promised there."
    return f"{text}; part of single times whose error is below it: {coverage_text(card)}."
