"""Estimators of scikit-learn: `cryptflow.sklearn.compile(estimator, X)`.

What is linear (scalers, projections, linear models) becomes one product with a matrix; networks a product for
each layer. The parties compute what the last of these gives, and the client makes probabilities and classes of
it as the estimator would.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cryptflow import compiling
from cryptflow.arrays import Array, as_array
from cryptflow.errors import InputError, MissingError, Node, OptionError, UnsupportedError
from cryptflow.onnx_file import Builder
from cryptflow.sources import Source

if TYPE_CHECKING:
    from cryptflow.parties import Parties
    from cryptflow.program import Program


class Estimator:
    """A compiled estimator, with scikit-learn's habits.

    Attributes
    ----------
    program
        The program.
    classes_
        The classes of a classifier.
    parties
        Who computes; nobody (it is simulated), if not set. Each method takes others.
    """

    def __init__(self, program: Program, plan: _Plan) -> None:
        self.program = program
        self.parties: Parties | None = None
        self._plan = plan
        if plan.classes is not None:
            self.classes_ = plan.classes

    def decision_function(self, x: Any, parties: Parties | None = None) -> Array:
        """What the parties open: scores of classes."""
        if self._plan.classes is None:
            raise AttributeError(f"{self._plan.name} is no classifier and has no decision_function")
        scores = self._opened(x, parties)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, x: Any, parties: Parties | None = None) -> Array:
        """Classes, numbers or clusters, as the estimator's own `predict`."""
        if self._plan.predict is None:
            raise AttributeError(f"{self._plan.name} has no predict")
        return self._plan.predict(self._opened(x, parties))

    def predict_proba(self, x: Any, parties: Parties | None = None) -> Array:
        """Probabilities of the classes."""
        if self._plan.probabilities is None:
            raise AttributeError(f"{self._plan.name} has no predict_proba")
        return self._plan.probabilities(self._opened(x, parties))

    def transform(self, x: Any, parties: Parties | None = None) -> Array:
        """New columns, as the estimator's own `transform`."""
        if self._plan.output != "transform":
            raise AttributeError(f"{self._plan.name} has no transform")
        return self._opened(x, parties)

    def score(self, x: Any, y: Any, parties: Parties | None = None) -> float:
        """The accuracy of a classifier, the coefficient of determination otherwise."""
        predicted, truth = self.predict(x, parties), np.asarray(y)
        if self._plan.classes is not None:
            return float(np.mean(predicted == truth))
        rest = np.sum((truth - predicted) ** 2)
        return float(1 - rest / np.sum((truth - truth.mean(axis=0)) ** 2))

    def _opened(self, x: Any, parties: Parties | None) -> Array:
        parties = parties or self.parties
        rows = _rows(x)
        opened = self.program.simulate(rows, raw=True) if parties is None else self.program.run(rows, parties, raw=True)
        return np.asarray(opened, dtype=np.float64)

    def __repr__(self) -> str:
        return f"<{self._plan.name}, compiled: {self.program.estimate()} a row>"


def compile(estimator: Any, X: Any, **options: Any) -> Estimator:
    """Compiles a fitted estimator.

    Parameters
    ----------
    estimator
        A linear model, `MLPClassifier` or `MLPRegressor`, a naive Bayes of counts, `KMeans`, a scaler or projection, or a
        pipeline of these.
    X
        Examples of its inputs, from which bounds and scale follow: an array or a frame.
    **options
        As of `cryptflow.compile`.

    Returns
    -------
    Estimator
        With `predict`, `predict_proba` and `decision_function`, as there.

    Raises
    ------
    UnsupportedError
        A part of it cannot be compiled; `error.nodes` says which, and why.
    """
    program = compiling.compile(estimator, _rows(X), **options)
    return Estimator(program, _Plan.of(estimator))


def export(estimator: Any, folder: str, examples: Any) -> Source:
    """Writes an estimator as an ONNX model of the numbers that the parties open."""
    if examples is None:
        raise OptionError("give calibration=examples of the estimator's inputs", "no-bounds")
    plan = _Plan.of(estimator)
    path = os.path.join(folder, "model.onnx")
    with open(path, "wb") as file:
        file.write(plan.model(_rows(examples).shape[-1]))
    return Source(path, plan.name, temporary=True)


def _rows(x: Any) -> Array:
    array = as_array(x, "X")
    if array.ndim != 2:
        raise InputError(f"X has the shape {list(array.shape)}: give rows of columns", "input-shape")
    return array.astype(np.float32)


@dataclass
class _Linear:
    """`x @ matrix + offset`."""

    matrix: Array
    offset: Array

    def then(self, other: _Linear) -> _Linear:
        return _Linear(self.matrix @ other.matrix, self.offset @ other.matrix + other.offset)


#: A function of each number, by its operator.
_Part = _Linear | str


@dataclass
class _Plan:
    """An estimator, as what the parties compute and what the client makes of it."""

    name: str
    parts: list[_Part]
    output: str
    predict: Callable[[Array], Array] | None = None
    probabilities: Callable[[Array], Array] | None = None
    classes: Array | None = None

    @staticmethod
    def of(estimator: Any) -> _Plan:
        steps = _steps(estimator)
        parts: list[_Part] = []
        for step in steps[:-1]:
            parts.append(_transformer(step))
        last = steps[-1]
        if hasattr(last, "predict"):
            plan = _predictor(last)
        else:
            plan = _Plan(type(last).__name__, [_transformer(last)], "transform")
        plan.parts = parts + plan.parts
        plan.name = "+".join(type(step).__name__ for step in steps)
        return plan

    def merged(self) -> Iterator[_Part]:
        """The parts, with one product where several follow each other."""
        held: _Linear | None = None
        for part in self.parts:
            if isinstance(part, _Linear):
                held = part if held is None else held.then(part)
                continue
            if held is not None:
                yield held
            held = None
            yield part
        if held is not None:
            yield held

    def model(self, columns: int) -> bytes:
        builder, last = Builder(columns), columns
        for index, part in enumerate(self.merged()):
            if isinstance(part, _Linear):
                if part.matrix.shape[0] != last:
                    raise InputError(f"X has {last} columns, and the estimator takes {part.matrix.shape[0]}", "input-shape")
                builder.linear(part.matrix, part.offset, f"layer{index}")
                last = part.matrix.shape[1]
            else:
                builder.add(part, name=f"layer{index}/{part.lower()}")
        return builder.model(self.output, last)


def _refused(estimator: Any, reason: str, advice: str = "") -> UnsupportedError:
    node = Node(type(estimator).__name__, type(estimator).__qualname__, reason, advice, "estimator")
    return UnsupportedError(f"{node}", "unsupported", [node])


def _steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline, flat; an estimator alone is one."""
    try:
        from sklearn.pipeline import Pipeline
        from sklearn.utils.validation import check_is_fitted
    except ImportError:
        raise MissingError("estimators of scikit-learn need scikit-learn: pip install scikit-learn") from None
    if isinstance(estimator, Pipeline):
        found: list[Any] = []
        for _, step in estimator.steps:
            if step is not None and not isinstance(step, str):
                found += _steps(step)
        return found or _no_steps(estimator)
    check_is_fitted(estimator)
    return [estimator]


def _no_steps(estimator: Any) -> list[Any]:
    raise _refused(estimator, "has no step that computes anything")


def _is(estimator: Any, *names: str) -> bool:
    """Whether it is one of scikit-learn's own classes of these names, or of one derived from it."""
    return any(c.__name__ in names and c.__module__.startswith("sklearn.") for c in type(estimator).__mro__)


def _transformer(step: Any) -> _Linear:
    """What a scaler, a selection or a projection does to rows."""
    if _is(step, "StandardScaler", "RobustScaler", "MaxAbsScaler"):
        n = step.n_features_in_
        mean = getattr(step, "mean_", None) if _is(step, "StandardScaler") else getattr(step, "center_", None)
        shift = np.zeros(n) if mean is None or getattr(step, "with_mean", True) is False else np.asarray(mean)
        scale = np.ones(n) if step.scale_ is None else np.asarray(step.scale_)
        return _Linear(np.diag(1 / scale), -shift / scale)
    if _is(step, "MinMaxScaler"):
        if step.clip:
            raise _refused(step, "cuts off what is out of its range (clip=True)", "Fit it with clip=False")
        return _Linear(np.diag(step.scale_), np.asarray(step.min_))
    if _is(step, "PCA", "IncrementalPCA"):
        matrix = step.components_.T
        if step.whiten:
            matrix = matrix / np.sqrt(step.explained_variance_)
        return _Linear(matrix, -(step.mean_ @ matrix))
    if _is(step, "TruncatedSVD"):
        return _Linear(step.components_.T, np.zeros(len(step.components_)))
    if _is(step, "FastICA"):
        return _Linear(step.components_.T, -(getattr(step, "mean_", np.zeros(step.n_features_in_)) @ step.components_.T))
    if _is(step, "LinearDiscriminantAnalysis") and hasattr(step, "scalings_"):
        matrix = step.scalings_[:, : step._max_components]
        return _Linear(matrix, -(step.xbar_ @ matrix))
    if _is(step, "SelectorMixin"):
        kept = np.flatnonzero(step.get_support())
        return _Linear(np.eye(step.n_features_in_)[:, kept], np.zeros(len(kept)))
    if _is(step, "FunctionTransformer") and step.func is None:
        n = step.n_features_in_
        return _Linear(np.eye(n), np.zeros(n))
    if _is(step, "ColumnTransformer"):
        return _columns(step)
    raise _refused(
        step,
        "is no transformation that is known here",
        "Known are scalers, selections of columns, PCA and other projections, and ColumnTransformer of these. Apply others "
        "before the input, at the client",
    )


def _columns(step: Any) -> _Linear:
    """Several transformers, each of its own columns, side by side."""
    n = step.n_features_in_
    names = list(getattr(step, "feature_names_in_", []))
    matrices, offsets = [], []
    for _, transformer, columns in step.transformers_:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        if isinstance(columns, slice):
            places = list(range(n))[columns]
        else:
            listed: list[Any] = [columns] if isinstance(columns, (str, int, np.integer)) else list(columns)
            if listed and isinstance(listed[0], (bool, np.bool_)):
                listed = list(np.flatnonzero(listed))
            places = [names.index(c) if isinstance(c, str) else int(c) for c in listed]
        if not places:
            continue
        chosen = np.eye(n)[:, places]
        part = _Linear(chosen, np.zeros(len(places)))
        if not isinstance(transformer, str):
            for inner in _steps(transformer):
                part = part.then(_transformer(inner))
        matrices.append(part.matrix)
        offsets.append(part.offset)
    if not matrices:
        raise _refused(step, "keeps no columns")
    return _Linear(np.hstack(matrices), np.concatenate(offsets))


def _predictor(estimator: Any) -> _Plan:
    name = type(estimator).__name__
    if _is(estimator, "MLPClassifier", "MLPRegressor"):
        return _network(estimator)
    if _is(estimator, "MultinomialNB", "ComplementNB"):
        weights = estimator.feature_log_prob_.T
        prior = np.asarray(estimator.class_log_prior_)
        if _is(estimator, "ComplementNB") and len(estimator.classes_) > 1:
            prior = np.zeros_like(prior)
        return _classifier(estimator, [_Linear(weights, prior)], _softmax)
    if _is(estimator, "BernoulliNB") and estimator.binarize is None:
        absent = np.log1p(-np.exp(estimator.feature_log_prob_))
        weights = (estimator.feature_log_prob_ - absent).T
        return _classifier(estimator, [_Linear(weights, estimator.class_log_prior_ + absent.sum(axis=1))], _softmax)
    if _is(estimator, "KMeans", "MiniBatchKMeans"):
        centres = estimator.cluster_centers_
        # The nearest centre: |x|² is the same for all of them.
        part = _Linear(2 * centres.T, -np.sum(centres**2, axis=1))
        return _Plan(name, [part], "nearness", lambda scores: np.asarray(scores.argmax(axis=1), dtype=np.int32))
    if not hasattr(estimator, "coef_") or not hasattr(estimator, "intercept_") or _is_kernel(estimator):
        raise _refused(
            estimator,
            "is no estimator that is known here",
            "Known are linear models, MLPClassifier, MLPRegressor, KMeans and the naive Bayes of counts. Train one of these, or "
            "a network in Keras or PyTorch",
        )
    coefficients = np.asarray(estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else estimator.coef_)
    if not hasattr(estimator, "classes_"):
        return _regressor(estimator, coefficients)
    intercept = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), (np.atleast_2d(coefficients).shape[0],))
    part = _Linear(np.atleast_2d(coefficients).T, intercept)
    return _classifier(estimator, [part], _link(estimator))


def _is_kernel(estimator: Any) -> bool:
    return _is(estimator, "SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")


def _regressor(estimator: Any, coefficients: Array) -> _Plan:
    flat = coefficients.ndim == 1
    matrix = np.atleast_2d(coefficients).T
    offset = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64).reshape(-1), (matrix.shape[1],))
    link: Callable[[Array], Array] = lambda z: z  # noqa: E731
    if _is(estimator, "_GeneralizedLinearRegressor"):
        if _is(estimator, "TweedieRegressor") and (estimator.link == "identity" or (estimator.link == "auto" and estimator.power <= 0)):
            pass
        else:
            link = np.exp

    def predict(opened: Array) -> Array:
        value = link(opened)
        return value[:, 0] if flat else value

    return _Plan(type(estimator).__name__, [_Linear(matrix, offset)], "predict", predict)


def _classifier(estimator: Any, parts: list[_Part], probabilities: Callable[[Array], Array] | None) -> _Plan:
    classes = np.asarray(estimator.classes_)

    def predict(scores: Array) -> Array:
        if scores.shape[1] == 1:
            return np.asarray(classes[(scores[:, 0] > 0).astype(int)])
        return np.asarray(classes[scores.argmax(axis=1)])

    return _Plan(type(estimator).__name__, parts, "decision_function", predict, probabilities, classes)


def _link(estimator: Any) -> Callable[[Array], Array] | None:
    """From scores to probabilities, where the estimator has them."""
    if not hasattr(estimator, "predict_proba"):
        return None
    if _is(estimator, "LogisticRegression", "LogisticRegressionCV"):
        rest = getattr(estimator, "multi_class", "deprecated") == "ovr" or estimator.solver == "liblinear"
        return _one_against_rest if rest else _softmax
    if _is(estimator, "LinearDiscriminantAnalysis"):
        return _softmax
    if _is(estimator, "SGDClassifier") and estimator.loss == "log_loss":
        return _one_against_rest
    raise _refused(estimator, "has probabilities of a kind that is not known here", "Use one with loss='log_loss'")


def _sigmoid(z: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


def _softmax(scores: Array) -> Array:
    if scores.shape[1] == 1:
        p = _sigmoid(scores)
        return np.hstack([1 - p, p])
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _one_against_rest(scores: Array) -> Array:
    if scores.shape[1] == 1:
        return _softmax(scores)
    p = _sigmoid(scores)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


_ACTIVATIONS: dict[str, str | None] = {"identity": None, "relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid"}


def _network(estimator: Any) -> _Plan:
    parts: list[_Part] = []
    activation = _ACTIVATIONS[estimator.activation]
    last = len(estimator.coefs_) - 1
    for index, (matrix, offset) in enumerate(zip(estimator.coefs_, estimator.intercepts_)):
        parts.append(_Linear(np.asarray(matrix), np.asarray(offset)))
        if index < last and activation is not None:
            parts.append(activation)
    if _is(estimator, "MLPRegressor"):
        flat = estimator.n_outputs_ == 1
        return _Plan("MLPRegressor", parts, "predict", lambda z: z[:, 0] if flat else z)
    binarizer = estimator._label_binarizer
    if binarizer.y_type_ == "multilabel-indicator":
        return _Plan(
            "MLPClassifier",
            parts,
            "decision_function",
            lambda z: np.asarray((z > 0).astype(int)),
            _sigmoid,
            np.asarray(estimator.classes_),
        )
    return _classifier(estimator, parts, _softmax)
