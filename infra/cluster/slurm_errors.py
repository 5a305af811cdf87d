"""Slurm's refusals in the words of a profile, and which of its errors pass by themselves."""

from infra.cluster.profile import Profile
from infra.errors import RomflowError, UserError

__all__ = ["SlurmError", "is_passing", "refusal", "whole_number"]

# The controller is restarted, or busy: the same call may succeed a little later.
_PASSING = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Transport endpoint is not connected",
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Resource temporarily unavailable",
    "Zero Bytes were transmitted",
    "Unexpected missing socket",
    "Slurm backup controller in standby",
    "temporarily unable to accept job",
    "Communication connection failure",
    "Message receive failure",
)
# What sbatch says of a key of the profile.
_KEYS = (
    ("invalid partition", "partition"),
    ("Invalid account", "account"),
    ("Invalid qos", "qos"),
    ("time limit is invalid", "walltime"),
    ("node configuration is not available", "nodes"),
    ("node count specification invalid", "nodes"),
    ("Node count", "nodes"),
    ("processors requested", "ranks"),
    ("CPU count", "ranks"),
    ("Memory specification", "memory"),
    ("Job violates accounting/QOS policy", "account"),
)


class SlurmError(RomflowError):
    """Slurm did not answer, or answered something else than expected."""


def whole_number(command: str, text: str, line: str) -> int:
    """Return a number that a command of Slurm printed.

    Parameters
    ----------
    command : its name, for the message
    text, line : where the number should be, and the line around it

    Raises
    ------
    SlurmError
        If it is no number.
    """
    if not text.strip().isdecimal():
        raise SlurmError(
            f"{command}: expected a number, received {text.strip()!r} in the line "
            f"{line.strip()!r}. Compare with `{command}` by hand; a wrapper of the site may print "
            "something else."
        )
    return int(text)


def is_passing(message: str) -> bool:
    """Return whether the same call may succeed a little later."""
    return any(words in message for words in _PASSING)


def refusal(message: str, profile: Profile) -> UserError:
    """Return the error for what sbatch says of a job.

    Parameters
    ----------
    message : what sbatch printed
    profile : of the job; the message names its key
    """
    said = " ".join(message.replace("sbatch: error:", "").split())
    key = next((key for words, key in _KEYS if words.lower() in message.lower()), None)
    # The options of sbatch that a profile passes on are none of those that its keys say.
    if key is None and profile.directives:
        key, received = "directives", ", ".join(profile.directives)
    elif key is not None:
        received = repr(getattr(profile, key))
    else:
        return UserError(
            f"profile {profile.name}: expected a job that this Slurm accepts; Slurm says: {said}. "
            "See `romflow doctor --profile`."
        )
    return UserError(
        f"profile {profile.name}: {key}: expected what this Slurm accepts, received {received}; "
        f"Slurm says: {said}. Change {key} in the profile (`romflow doctor --profile` lists what "
        "there is)."
    )
