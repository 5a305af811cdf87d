"""What people are told about an error."""

__all__ = ["message_of"]


def message_of(error: Exception) -> str:
    """Return the message of an error; one of the operating system's is completed.

    Parameters
    ----------
    error : one of romflow's, which say all that is needed, or an `OSError`
    """
    if not isinstance(error, OSError):
        return str(error)
    place = error.filename or "a file"
    return (
        f"{place}: expected a place that can be used, received: {error.strerror or error}. "
        "Choose another place, or remove what is in the way."
    )
