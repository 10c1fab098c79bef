"""Plain data that does not fit its type, in words for whoever wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from hilum.system.typed import SECTION, MisfitError, RefusedError, UnknownKeyError, WrongValueError, describe


def in_words(misfit: MisfitError, whole: str) -> str:
    """What is wrong, and the nearest name that would be right; `whole` is what the file is."""
    match misfit:
        case UnknownKeyError():
            return f"{misfit.where}: {nearest(misfit.key, misfit.known)}"
        case RefusedError():
            return str(misfit.reason)
        case WrongValueError(value=value, hint=hint) if get_origin(hint) is Literal:
            return f"{misfit.where} = {value!r}: {nearest(str(value), [str(option) for option in get_args(hint)])}"
        case WrongValueError(value=value, hint=hint) if describe(hint) == SECTION:
            return f"{misfit.where or whole}: a section, not {value!r}"
        case WrongValueError(value=value, hint=hint):
            return f"{misfit.where} = {value!r}: must be {describe(hint)}"
    return f"{misfit.where}: is missing"


def nearest(word: str, known: Sequence[str]) -> str:
    """What to write in place of a name that is none of those known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"there is no such name; did you mean {close[0]}?" if close else f"must be one of {', '.join(known)}"
