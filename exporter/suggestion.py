"""What somebody may have meant who named a thing that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Collection

# As many as one line of a terminal error bears.
_MOST = 40


def suggestion(word: str, known: Collection[str], what: str) -> str:
    """`did you mean …?` where one of the known words is close, otherwise those that there are. what: their plural."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    if not known:
        return f"there are no {what}"
    more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
    return f"{what} are {', '.join(list(known)[:_MOST])}{more}"
