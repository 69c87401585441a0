"""Figures in words."""

from __future__ import annotations

from math import inf

from cellwright.study.metric import Metric

NATS = Metric("loss", "nats", "frame")
SHARE = Metric("accuracy", "%", better="higher", decimals=2)
PLAIN = Metric("MASE")


def test_numbers() -> None:
    assert [m.text(0.97345) for m in (NATS, SHARE, PLAIN)] == ["0.973", "97.34%", "0.973"]
    assert (NATS.text(12345.6), NATS.text(None), NATS.text(inf)) == ("12,345.600", "–", "diverged")
    assert [m.signed(-0.0123) for m in (NATS, SHARE)] == ["−0.012", "−1.23 pp"]
    assert NATS.signed(None) == "–"


def test_amounts_have_two_digits_and_a_unit() -> None:
    assert [m.amount(0.104) for m in (NATS, SHARE, PLAIN)] == [
        "0.10 nats", "10.4 points", "0.10 MASE",
    ]  # fmt: skip
    assert [m.amount(0.000321) for m in (NATS, SHARE)] == ["0.00032 nats", "0.032 points"]
    assert NATS.amount(0.00951) == "0.01 nats"


def test_words() -> None:
    assert [m.phrase for m in (NATS, SHARE, PLAIN)] == [
        "loss in nats a frame", "accuracy", "MASE",
    ]  # fmt: skip
    assert [m.axis for m in (NATS, SHARE, PLAIN)] == ["loss, nats a frame", "accuracy, %", "MASE"]
    assert [m.full(0.5) for m in (NATS, SHARE, PLAIN)] == [
        "0.500 nats a frame", "50.00% accuracy", "0.500 MASE",
    ]  # fmt: skip


def test_which_is_better() -> None:
    assert NATS.is_better(1.0, 2.0)
    assert SHARE.is_better(0.9, 0.8)
    assert not SHARE.is_better(0.8, 0.8)
    assert sorted([0.1, 0.9], key=SHARE.order) == [0.9, 0.1]
