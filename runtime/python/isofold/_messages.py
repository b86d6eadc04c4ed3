"""Where Isofold's messages go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    import logging

_NUMBERS = {"error": 40, "warning": 30, "info": 20, "debug": 10}  # logging's


def log_to(
    target: logging.Logger | logging.LoggerAdapter[Any] | Callable[[str, str], object] | None, level: str | None = None
) -> None:
    """Says where the messages of all Runtimes go from now on, instead of standard error.

    target: a logging.Logger, a function that is called with a level ("error", "warning", "info", "debug") and the text, or None
    for standard error. level: how much is said, "off" to "debug"; everything when None, of which a logger takes what its own level
    lets pass. A Runtime says no more than what was asked for when it was made.

    The target has the message when the call that gave it is back in Python, also when it raises. Whichever thread is in Python first
    calls the target, the main thread between any two of its steps, as it calls a signal's handler: a lock that the target takes has to
    be one that its holder may take again, as those of logging are. Messages of Isofold's own threads come to the main thread. The target may
    use Isofold itself, and fork. What it raises goes to sys.unraisablehook. When the interpreter ends, messages go to standard error
    again, whatever is asked here then; a target that waits in a daemon thread is not waited for. Thread-safe.

    Raises UsageError for another level, or one for standard error, which has ISOFOLD_LOG; TypeError for another target."""
    if target is None:
        if level is not None:
            raise _core.UsageError(f'level is "{level}", and target None; how much goes to standard error says ISOFOLD_LOG')
        _core._log_to_standard_error()
        return
    if callable(target):
        function = target
    elif callable(getattr(target, "log", None)):
        log = target.log

        def function(name: str, text: str) -> None:
            log(_NUMBERS[name], "%s", text)

    else:
        raise TypeError(f"target is {target!r}; it must be a logging.Logger, a function of a level and a text, or None")
    _core._log_to(function, "debug" if level is None else level)
