"""Learning rates over a run, as functions of the step alone: a resumed run stands where the uninterrupted one did."""

from math import cos, pi

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from okkhor.errors import InputError


def cosine(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup: float = 0.0,
    cycles: int = 1,
    growth: float = 1.0,
    floor: float = 0.0,
) -> LambdaLR:
    """Up in a straight line, then down along half a cosine (arXiv:1608.03983), again from the top in each cycle.

    total_steps: steps of the whole run (epochs, where the schedule's interval is that); warmup: share of them that
    rises; cycles: how often the rate falls, which then starts anew at once; growth: length of a cycle over that of the
    one before; floor: share of the learning rate that is left at the end of a cycle.
    """
    if total_steps < 1:
        raise InputError(f"scheduler.total_steps: expected at least 1, got {total_steps}")
    rising = round(warmup * total_steps)
    lengths = [growth**k for k in range(cycles)]
    each = (total_steps - rising) / sum(lengths)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        since = step - rising
        for length in lengths[:-1]:
            if since < length * each:
                break
            since -= length * each
        else:
            length = lengths[-1]
        gone = min(since / (length * each), 1.0) if each else 1.0
        return floor + (1 - floor) * (1 + cos(pi * gone)) / 2

    return LambdaLR(optimizer, factor)
