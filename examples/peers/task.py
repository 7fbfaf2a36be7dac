"""The two models that every script of this folder makes private, and how what it does is timed."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

#: Rows that are predicted at once.
ROWS = 20

_seconds: dict[str, float] = {}


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Adds the seconds of a block to what is told at the end."""
    begun = time.perf_counter()
    yield
    took(what, time.perf_counter() - begun)


def took(what: str, seconds: float) -> None:
    """Notes seconds that were measured elsewhere."""
    _seconds[what] = seconds


def told(**answers: tuple[np.ndarray, np.ndarray]) -> None:
    """Prints the seconds, and how far the private answers are from the model's, by model."""
    far, same = {}, {}
    for name, (private, plain) in answers.items():
        far[name] = float(np.max(np.abs(np.asarray(private, float) - plain)))
        same[name] = f"{np.sum(np.asarray(private).argmax(axis=1) == plain.argmax(axis=1))} of {len(plain)}"
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
    print(json.dumps({"seconds": _seconds, "farthest": far, "same_class": same, "peak_bytes": peak}))


def tumours() -> tuple[LogisticRegression, np.ndarray, np.ndarray]:
    """Logistic regression over 30 columns; the rows that it was trained on, and others."""
    data = load_breast_cancer()
    train, test, y, _ = train_test_split(data.data, data.target, random_state=1)
    scaler = StandardScaler().fit(train)
    train, test = (scaler.transform(x).astype(np.float32) for x in (train, test))
    return LogisticRegression().fit(train, y), train, test[:ROWS]


def digits() -> tuple[MLPClassifier, np.ndarray, np.ndarray]:
    """A network of 64, 32 and 10 with a ReLU between; the pictures that it was trained on, and others."""
    data = load_digits()
    train, test, y, _ = train_test_split((data.data / 16).astype(np.float32), data.target, random_state=1)
    return MLPClassifier((32,), max_iter=60, random_state=1).fit(train, y), train, test[:ROWS]
