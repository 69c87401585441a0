from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from scipy import stats

from cellwright.study.metric import Metric
from cellwright.study.report import render
from cellwright.study.results import Baseline, Epoch
from cellwright.study.statistics.welch import contrast, interval
from cellwright.study.verdict import rank, sentences
from cellwright.study.words import amount, p_value
from tiny import comparison

A = (8.52, 8.47, 8.55, 8.49, 8.50)
B = (8.61, 8.58, 8.66, 8.57, 8.63)
SAME = (8.53, 8.46, 8.54, 8.51, 8.48)


def test_ranking() -> None:
    found = rank(comparison({"lstm": A, "gru": B, "mgu": SAME}))
    assert [s.cell for s in found] == ["mgu", "lstm", "gru"]
    mgu, lstm, gru = found
    assert (lstm.difference, lstm.p, lstm.shown) == (None, None, False)
    assert gru.difference == pytest.approx(0.104)
    raw = [stats.ttest_ind(x, A, equal_var=False).pvalue for x in (B, SAME)]
    assert gru.p == pytest.approx(min(1, 2 * raw[0]))
    assert mgu.p == pytest.approx(raw[1])
    assert gru.shown
    assert not mgu.shown
    assert gru.losses == B
    assert gru.interval == interval(B)


def test_intervals_of_a_ranking_hold_together() -> None:
    ranking = rank(comparison({"lstm": B, "gru": A, "rnn": SAME, "mgu": SAME}))
    one_of_three = contrast(A, B, of=3)
    assert one_of_three is not None
    assert [s.difference_interval for s in ranking if s.cell == "gru"] == [
        (one_of_three.low, one_of_three.high)
    ]


def test_a_difference_in_words() -> None:
    better = sentences(comparison({"lstm": B, "gru": A}))
    assert better == ("gru is better than lstm by 0.10 nats, p = 0.001.",)
    worse = sentences(comparison({"lstm": A, "gru": [a + 0.05 for a in A]}))
    assert worse == ("gru is worse than lstm by 0.05 nats, p = 0.032.",)


def test_no_difference_in_words() -> None:
    (found,) = sentences(comparison({"lstm": A, "gru": SAME}))
    c = contrast(SAME, A)
    assert c is not None
    assert found == (
        "gru and lstm: no difference that 5 seeds can show (p = 0.92; at most about 0.05 nats "
        "either way)."
    )
    assert max(abs(c.low), abs(c.high)) == pytest.approx(0.05, abs=0.005)


def test_one_seed_cannot_tell() -> None:
    found = sentences(comparison({"lstm": [8.5], "gru": [8.4]}, seeds=1))
    assert "one seed cannot tell" in found[0]
    assert "better than lstm" in found[0]
    assert rank(comparison({"lstm": [8.5], "gru": [8.4]}, seeds=1))[0].p is None


def test_runs_that_diverged_are_left_out_and_said() -> None:
    found = comparison({"lstm": A, "gru": (*B[:3], inf, inf), "rnn": (inf,) * 5})
    standings = {s.cell: s for s in rank(found)}
    assert (standings["gru"].losses, standings["gru"].diverged) == (B[:3], 2)
    assert (standings["rnn"].mean, standings["rnn"].diverged) == (None, 5)
    assert rank(found)[-1].cell == "rnn"
    said = sentences(found)
    assert "rnn cannot be compared with lstm: rnn diverged in every run." in said
    assert "Of gru 2 runs diverged: left out of every figure, which flatters it." in said
    assert any(s.startswith("gru is worse than lstm by") for s in said)


def test_a_baseline_without_runs() -> None:
    found = comparison({"lstm": (inf,) * 5, "gru": A})
    assert sentences(found)[0] == ("gru cannot be compared with lstm: lstm diverged in every run.")
    assert rank(found)[0].difference is None


def test_a_partial_result_says_so() -> None:
    found = comparison({"lstm": A[:3], "gru": B[:2], "rnn": ()})
    assert [s.missing for s in rank(found)] == [2, 3, 5]
    assert "This is a partial result: 10 of 15 runs are not finished." in sentences(found)
    assert any("rnn has no finished run" in s for s in sentences(found))
    (gru,) = [s for s in sentences(found) if s.startswith("gru")]
    assert gru == (
        "gru and lstm: no difference that 2 against 3 seeds can show (p = 0.061; at most about "
        "0.17 nats either way)."
    )


def test_data_too_small_to_tell_cells_apart_are_said() -> None:
    found = comparison({"lstm": A, "gru": B})
    small = replace(found.dataset, sizes={"sequences": (60, 19, 20)})
    (said,) = {*sentences(replace(found, dataset=small))} - {*sentences(found)}
    assert said.startswith("Of sequences validation has 19: fewer than 20 say little")


def test_runs_cut_short_are_said() -> None:
    found = sentences(comparison({"lstm": A, "gru": B}, stopped="time"))
    assert any("10 runs ended because time was up" in s for s in found)
    found = sentences(comparison({"lstm": A, "gru": B}, stopped="epochs"))
    assert (
        "Of gru 5 runs reached the limit of 3 epochs: longer training may change the order."
    ) in found
    found = sentences(comparison({"lstm": A, "gru": B}, stopped="diverged"))
    assert (
        "Of gru 5 runs diverged after a while: what counts is the best epoch before that."
    ) in found


def test_a_cell_that_learning_did_not_help_is_named() -> None:
    found = sentences(comparison({"lstm": A, "rnn": [12.0, 12.1, 12.2, 12.3, 12.4]}))
    assert found[1:] == (
        "rnn is worse than static, which needs no learning (11.000 nats a frame): what it shows "
        "here says little of the cell.",
    )


def test_one_seed_that_comes_out_equal() -> None:
    found = sentences(comparison({"lstm": [8.5], "gru": [8.5]}, seeds=1))
    assert found[0].startswith("gru came out equal to lstm, but one seed cannot tell")


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "–"),
        (0.0, "< 0.001"),
        (0.00099, "< 0.001"),
        (0.0014, "0.001"),
        (0.0496, "0.0496"),
        (0.0497, "0.0497"),
        (0.049996, "0.049996"),
        (0.0503, "0.0503"),
        (0.05, "0.050"),
        (0.1, "0.10"),
        (0.923, "0.92"),
        (1.0, "1.00"),
    ],
)
def test_p_in_words(p: float | None, text: str) -> None:
    assert p_value(p) == text


def test_the_highest_is_the_best_where_the_metric_says_so() -> None:
    shares = {"lstm": [0.81, 0.82, 0.83], "gru": [0.91, 0.92, 0.93], "rnn": [0.71, 0.72, 0.73]}
    found = comparison(shares, seeds=3)
    metric = Metric("accuracy", "%", better="higher", decimals=2)
    even = Baseline("majority", "calling all a", {"accuracy": 0.75})
    dataset = replace(found.dataset, metrics=(metric,), baselines=(even,))
    runs = tuple(
        replace(run, metrics={"accuracy": run.test}, epochs=(Epoch(2.0, 1.0, run.valid, 1.0),))
        for run in found.runs
    )
    found = replace(found, dataset=dataset, runs=runs)
    assert [s.cell for s in rank(found)] == ["gru", "lstm", "rnn"]
    said = sentences(found)
    assert said[0] == "gru is better than lstm by 10.0 points, p < 0.001."
    assert said[1] == "rnn is worse than lstm by 10.0 points, p < 0.001."
    assert said[2] == (
        "rnn is worse than majority, which needs no learning (75.00% accuracy): what it shows here "
        "says little of the cell."
    )
    assert len(said) == 3
    page = render(found)
    assert "<h1>gru is better than lstm</h1>" in page
    assert "Accuracy: higher is better." in page
    assert "test accuracy, % (higher is better →)" in page
    assert "+10.00 pp" in page


def test_nothing_at_all() -> None:
    found = comparison({"lstm": (), "gru": ()})
    assert sentences(found)[0] == "gru cannot be compared with lstm: lstm has no finished run."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0012, "0.0012"),
        (0.0094, "0.0094"),
        (0.0096, "0.01"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (99.96, "100"),
        (12345.6, "12,346"),
    ],
)
def test_amounts_in_words(value: float, text: str) -> None:
    assert amount(value) == text
    assert amount(value, "nats") == f"{text} nats"
