"""How far a training is: read from the trainer's log, wherever the trainer runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from flows.progress import new_events

__all__ = ["Lessons", "TrainingFollower"]


@final
@dataclass(frozen=True)
class Lessons:
    """A moment of a training.

    Attributes
    ----------
    fraction : how much of the budget is spent, 0 to 1
    text : the numbers of the moment in one line; empty before the first step
    messages : lines for people, new since the last look
    """

    fraction: float = 0.0
    text: str = ""
    messages: tuple[str, ...] = ()


@final
@dataclass
class TrainingFollower:
    """Reads what the trainer's log has gained since the last look.

    Parameters
    ----------
    log : the trainer's log; what earlier runs wrote is over
    planned : gradient steps of the whole budget
    """

    log: Path
    planned: int
    _offset: int = field(init=False)
    _seen: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._offset = self.log.stat().st_size

    def look(self) -> Lessons:
        """Read new lines and return the state."""
        events, self._offset = new_events(self.log, self._offset)
        messages = []
        for event in events:
            kind = event["event"]
            if kind in ("training", "validated"):
                self._seen |= {name: value for name, value in event.items() if value is not None}
            elif "message" in event:
                messages.append(f"trainer: {event['message']}")
        return Lessons(self._fraction, _text(self._seen), tuple(messages))

    @property
    def _fraction(self) -> float:
        return min(1.0, self._seen.get("step", 0) / max(self.planned, 1))


def _text(seen: dict[str, Any]) -> str:
    """Say the numbers of a moment in one line."""
    parts = {
        "step": "step {:d}",
        "loss": "loss {:.2e}",
        "validation_error": "validation {:.2%}",
        "unique_per_second": "{:.0f} new/s",
        "visits_per_second": "{:.0f} visits/s",
        "fill": "reservoir {:.0%}",
        "blocked": "simulations blocked {:.1f} s",
    }
    return ", ".join(text.format(seen[name]) for name, text in parts.items() if name in seen)
