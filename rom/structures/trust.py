"""What a structure's card says about trust in its answers."""

from rom.model_card import ModelCard

__all__ = ["coverage_text", "measured_coverage", "structure_tolerance"]


def structure_tolerance(card: ModelCard) -> float | None:
    """Return the tolerance of a structure's indicator; None for models of fields."""
    found = card.settings.get("tolerance")
    if card.kind != "structure" or isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found)


def measured_coverage(card: ModelCard) -> float:
    """Return which part of errors is below the indicator: that of a structure was measured."""
    trust = card.trust
    return trust.measured_coverage if card.kind == "structure" else trust.coverage


def coverage_text(card: ModelCard) -> str:
    """Say which part of the errors was to be below the indicator, and which part is."""
    measured = [f"{card.trust.measured_coverage:.1%} (runs left out)"]
    evaluation = card.lineage.get("evaluation")
    held_out = evaluation.get("coverage") if isinstance(evaluation, dict) else None
    if isinstance(held_out, int | float):
        measured.append(f"{held_out:.1%} (runs held out)")
    return f"asked for {card.trust.level:.1%}, measured {', '.join(measured)}"
