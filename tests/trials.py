"""Trials as a search hands them in, made up for tests."""

from __future__ import annotations

from cellwright.study.metric import Metric
from cellwright.study.statistics.trials import Outcome, Trial, Value

__all__ = ["ACCURACY", "LOSS", "trial"]

LOSS = Metric("test loss", "nats")
ACCURACY = Metric("accuracy", "%", better="higher")


def trial(
    valid: float, test: float | None = None, seconds: float = 1.0, **hyperparameters: Value
) -> Trial:
    """One of one seed; what is the same in test, where nothing else is said."""
    outcome = Outcome(0, valid, valid if test is None else test, seconds)
    return Trial(hyperparameters, 100, (outcome,))
