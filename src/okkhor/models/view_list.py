"""How views of an image are written in `model.tta`; apart from `views`, since options are checked without PyTorch."""

from collections.abc import Sequence

VIEW = "[down,right] or [down,right,scale], shares of height and width within ±0.5 and a scale of 0.5 to 2"


def is_view(view: Sequence[float]) -> bool:
    """Whether a view is written as `VIEW` says."""
    if len(view) not in (2, 3) or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in view):
        return False
    return abs(view[0]) <= 0.5 and abs(view[1]) <= 0.5 and 0.5 <= (*view, 1.0)[2] <= 2
