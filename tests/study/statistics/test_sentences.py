from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from scipy import stats

from cellwright.study.metric import Metric
from cellwright.study.statistics.budget import Band, Curve
from cellwright.study.statistics.edges import Edge
from cellwright.study.statistics.importance import Importances
from cellwright.study.statistics.sentences import (
    Claim,
    brief,
    edge_found,
    expected,
    search_against,
    seeds_against,
    what_matters,
)
from cellwright.study.statistics.versus import Versus, compare, compare_searches
from trials import ACCURACY, LOSS, trial

A = (8.52, 8.47, 8.55, 8.49, 8.50)
B = (8.61, 8.58, 8.66, 8.57, 8.63)
SAME = (8.53, 8.46, 8.54, 8.51, 8.48)


def _versus(base: tuple[float, ...], other: tuple[float, ...], metric: Metric = LOSS) -> Versus:
    found = compare({"lstm": base, "gru": other}, "lstm", metric)["gru"]
    assert found is not None
    return found


def test_a_difference() -> None:
    assert seeds_against(_versus(B, A), LOSS) == (
        "gru is better than lstm by 0.104 nats (95% interval 0.054 to 0.154), p = 0.001; with "
        "these seeds a difference of 0.07 would have been seen four times in five.",
        "That is 2.8 standard deviations (Hedges' g −2.8; 95% interval −4.2 to −1.6).",
        "Of one seed each, that of gru is better than that of lstm 100 times in 100 (95% interval "
        "64 to 100).",
    )
    assert seeds_against(_versus(B, A, ACCURACY), ACCURACY)[0].startswith(
        "gru is worse than lstm by 10.4 points (95% interval 5.4 to 15.4), p = 0.001;"
    )


def test_two_seeds_say_nothing_that_no_share_can_be() -> None:
    """Student's interval of two seeds goes far beyond 100 points; the sentences do not."""
    found = _versus((0.31, 0.92), (0.45, 0.71), ACCURACY)
    uncut = stats.ttest_ind((0.45, 0.71), (0.31, 0.92), equal_var=False).confidence_interval()
    assert uncut.low < -1
    assert uncut.high > 1
    ends = (found.contrast.low, found.contrast.high)
    assert ends == (-1, 1)
    assert seeds_against(found, ACCURACY)[0].startswith(
        "gru and lstm: no difference that 2 seeds can show (4 points worse, 95% interval 100 "
        "better to 100 worse; p = 0.93). With these seeds no difference would have been seen four "
        "times in five; to show the 3.50 found here, "
    )
    claim = Claim("gru", found.contrast.difference, ends, found.p)
    assert brief(claim, "lstm", "2 seeds", ACCURACY) == (
        "gru and lstm: no difference that 2 seeds can show (p = 0.93; nor do they rule any "
        "difference out)."
    )


def test_a_tie() -> None:
    assert seeds_against(_versus(A, SAME), LOSS)[0] == (
        "gru and lstm: no difference that 5 seeds can show (0.002 nats better, 95% interval 0.049 "
        "better to 0.045 worse; p = 0.92). With these seeds a difference of 0.07 would have been "
        "seen four times in five; to show the 0.002 found here, if it is real, takes 4,044 seeds a "
        "cell, 4,039 more."
    )
    found = _versus(A, SAME)
    hopeless = replace(found, power=replace(found.power, seeds=None, more=None))
    assert seeds_against(hopeless, LOSS)[0].endswith("takes more than 10,000 seeds a cell.")
    enough = replace(found, power=replace(found.power, seeds=5, more=0))
    assert seeds_against(enough, LOSS)[0].endswith("seen four times in five.")


def test_values_that_diverged_or_do_not_vary() -> None:
    said = seeds_against(_versus(A, (8.4, 8.45, inf)), LOSS)
    assert "no difference that 2 against 5 seeds can show" in said[0]
    assert said[1] == "That is 2.2 standard deviations (Hedges' g −2.2)."
    assert said[3] == (
        "Of gru 1 of 3 seeds diverged: left out of means, which flatters it, and the worst of all "
        "where seeds are put in order."
    )
    assert seeds_against(_versus((1.0, 1.0), (3.0, 3.0)), LOSS) == (
        "gru is worse than lstm by 2.000 nats (95% interval 2.000 to 2.000), p < 0.001.",
        "Of one seed each, that of gru is better than that of lstm 0 times in 100 (95% interval 0 "
        "to 61).",
    )


def test_searches() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 100))
    searches = {"lstm": [trial(v) for v in a], "gru": [trial(v - 1) for v in b[:60]]}
    found = compare_searches(searches, "lstm", LOSS)["gru"]
    assert found is not None
    assert search_against(found, LOSS) == (
        "By test of the best 6 of 60 trials against the best 10 of 100 trials, chosen by "
        "validation, gru is better than lstm by 1.5 nats (95% interval 0.9 to 2.0), p < 0.001 "
        "with the choice counted in; Welch's test, which leaves it out, has p < 0.001.",
        "The search of lstm was the larger, which helps it.",
    )
    tie = replace(found, p=0.2, trials=(100, 100))
    assert search_against(tie, LOSS)[0].startswith(
        "By test of the best 6 of 100 trials against the best 10 of 100 trials, chosen by "
        "validation, gru and lstm show no difference (1.5 nats better, 95% interval 2.0 better "
        "to 0.9 better), p = 0.20 with"
    )
    assert len(search_against(tie, LOSS)) == 1


def test_what_a_search_is_expected_to_find() -> None:
    curve = Curve(
        (1.0, 4800.0),
        6000.0,
        Band((8.6, 8.42), (8.5, 8.38), (8.7, 8.47)),
        Band((8.7, 8.5), (8.6, 8.451), (8.8, 8.549)),
    )
    metric = Metric("loss", "nats")
    assert expected("gru", curve, 0, metric, "trials") == (
        "One trial of gru is expected to have a loss of 8.60 nats in validation (95% interval 8.50 "
        "to 8.70), and of 8.70 in test (95% interval 8.60 to 8.80)."
    )
    assert expected("gru", curve, 1, metric, "trials").startswith("The best of 4,800 trials of gru")
    assert expected("gru", curve, 1, metric, "seconds") == (
        "After 1 h 20 min of training, the best trial of gru is expected to have a loss of 8.420 "
        "nats in validation (95% interval at least 8.380 to 8.470), and of 8.500 in test (95% "
        "interval at least 8.451 to 8.549)."
    )


def test_what_matters() -> None:
    found = Importances(
        {"learning_rate": 0.684, "size": 0.21, "momentum": 0.004},
        {("learning_rate", "size"): 0.06, ("momentum", "size"): 0.001},
        explained=0.91,
    )
    assert what_matters("gru", found) == (
        "Of how trials of gru differ, learning rate explains 68%, size 21%, learning rate and size "
        "together 6% more (R² 0.91 for trials not seen)."
    )
    assert what_matters("gru", replace(found, explained=-0.1)) == (
        "What matters to gru cannot be told from these trials: their hyperparameters do not "
        "predict them (R² −0.10 for trials not seen)."
    )


def test_an_edge() -> None:
    found = Edge("learning_rate", "upper", 0.01, best=20, inside=12, expected=2.0, p=1e-7)
    assert edge_found("gru", found) == (
        "Of the 20 best trials of gru 12 have a learning rate at the upper end of its range, 0.01, "
        "where 2.0 would be by chance: a wider range may have better ones."
    )


@pytest.mark.parametrize(
    ("values", "by"),
    [
        ((312.0, 318.0, 325.0), "gru is worse than lstm by 94 (95% interval 78 to 110)"),
        ((224.1, 224.0, 224.2), "no difference that 3 seeds can show (0.10 worse, 95% interval"),
    ],
)
def test_digits_follow_the_interval(values: tuple[float, ...], by: str) -> None:
    assert by in seeds_against(_versus((224.0, 223.9, 224.1), values), Metric("error"))[0]
