"""Estimators of scikit-learn, held against what they give themselves."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import cryptflow as cf

sklearn = pytest.importorskip("sklearn")

from sklearn import (  # noqa: E402
    cluster,
    compose,
    datasets,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    linear_model,
    naive_bayes,
    neural_network,
    pipeline,
    preprocessing,
    svm,
)

FLOWERS, KINDS = datasets.load_iris(return_X_y=True)
HEALTH, PROGRESS = datasets.load_diabetes(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]
scaled = preprocessing.StandardScaler

CLASSIFIERS: list[Any] = [
    linear_model.LogisticRegression(max_iter=500),
    pipeline.make_pipeline(scaled(), linear_model.LogisticRegression()),
    pipeline.make_pipeline(preprocessing.MinMaxScaler(), decomposition.PCA(3, whiten=True), linear_model.RidgeClassifier()),
    pipeline.make_pipeline(preprocessing.RobustScaler(), svm.LinearSVC()),
    pipeline.make_pipeline(
        compose.ColumnTransformer([("a", scaled(), [0, 2]), ("b", "passthrough", slice(1, 2))]), linear_model.LogisticRegression()
    ),
    pipeline.make_pipeline(feature_selection.SelectKBest(k=2), linear_model.SGDClassifier(loss="log_loss", random_state=3)),
    discriminant_analysis.LinearDiscriminantAnalysis(),
    naive_bayes.MultinomialNB(),
    pipeline.make_pipeline(scaled(), neural_network.MLPClassifier((8,), max_iter=300, random_state=3)),
    pipeline.make_pipeline(scaled(), neural_network.MLPClassifier((6, 5), "tanh", max_iter=300, random_state=3)),
    neural_network.MLPClassifier((5,), "logistic", max_iter=300, random_state=3),
]

REGRESSORS: list[Any] = [
    linear_model.LinearRegression(),
    pipeline.make_pipeline(scaled(), linear_model.Ridge()),
    linear_model.Lasso(),
    pipeline.make_pipeline(scaled(), linear_model.PoissonRegressor()),
    pipeline.make_pipeline(scaled(), neural_network.MLPRegressor(hidden_layer_sizes=(10,), max_iter=300, random_state=3)),
    pipeline.make_pipeline(scaled(), svm.LinearSVR()),
]


def fitted(estimator: Any, x: Any, y: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sklearn.base.clone(estimator).fit(x, y)


def name(estimator: Any) -> str:
    return type(estimator).__name__ if not hasattr(estimator, "steps") else "+".join(type(s).__name__ for _, s in estimator.steps)


@pytest.mark.parametrize("two", [False, True], ids=["three", "two"])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=name)
def test_classifiers(estimator: Any, two: bool) -> None:
    kept = slice(None, 100) if two else slice(None)
    x, y = FLOWERS[kept], NAMES[kept]
    estimator = fitted(estimator, x, y)
    secure = cf.sklearn.compile(estimator, x, progress=False)
    assert list(secure.classes_) == list(estimator.classes_)
    assert np.mean(secure.predict(x) == estimator.predict(x)) > 0.99
    assert abs(secure.score(x, y) - estimator.score(x, y)) < 0.02
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(secure.predict_proba(x), estimator.predict_proba(x), atol=0.02)
    else:
        with pytest.raises(AttributeError, match="predict_proba"):
            secure.predict_proba(x)
    if hasattr(estimator, "decision_function"):
        expected = estimator.decision_function(x)
        np.testing.assert_allclose(secure.decision_function(x), expected, atol=0.01 * np.ptp(expected))


@pytest.mark.parametrize("estimator", REGRESSORS, ids=name)
def test_regressors(estimator: Any) -> None:
    estimator = fitted(estimator, HEALTH, PROGRESS)
    secure = cf.sklearn.compile(estimator, HEALTH, progress=False)
    expected = estimator.predict(HEALTH)
    answer = secure.predict(HEALTH)
    assert answer.shape == expected.shape
    np.testing.assert_allclose(answer, expected, atol=0.01 * np.ptp(expected))
    assert abs(secure.score(HEALTH, PROGRESS) - estimator.score(HEALTH, PROGRESS)) < 0.01
    with pytest.raises(AttributeError):
        secure.decision_function(HEALTH)


def test_several_targets() -> None:
    y = np.stack([PROGRESS, PROGRESS * 2], axis=1)
    estimator = fitted(linear_model.LinearRegression(), HEALTH, y)
    expected = estimator.predict(HEALTH)
    np.testing.assert_allclose(cf.sklearn.compile(estimator, HEALTH).predict(HEALTH), expected, atol=0.01 * np.ptp(expected))


def test_clusters_and_projections() -> None:
    clusters = fitted(cluster.KMeans(3, n_init=3, random_state=3), FLOWERS)
    assert np.mean(cf.sklearn.compile(clusters, FLOWERS).predict(FLOWERS) == clusters.predict(FLOWERS)) > 0.97
    projection = fitted(pipeline.make_pipeline(scaled(), decomposition.PCA(2)), FLOWERS)
    np.testing.assert_allclose(cf.sklearn.compile(projection, FLOWERS).transform(FLOWERS), projection.transform(FLOWERS), atol=0.02)


def test_parties_compute_it(parties: cf.Parties) -> None:
    estimator = fitted(CLASSIFIERS[1], FLOWERS, NAMES)
    secure = cf.sklearn.compile(estimator, FLOWERS, progress=False)
    secure.parties = parties
    assert list(secure.predict(FLOWERS[:6])) == list(estimator.predict(FLOWERS[:6]))
    assert parties.last is not None and parties.last.rounds > 0
    np.testing.assert_allclose(secure.predict_proba(FLOWERS[:6], parties), estimator.predict_proba(FLOWERS[:6]), atol=0.02)


def test_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FLOWERS, columns=list("abcd"))
    columns = compose.ColumnTransformer([("s", scaled(), ["d", "a"]), ("m", preprocessing.MinMaxScaler(), ["b"])])
    estimator = fitted(pipeline.make_pipeline(columns, linear_model.LogisticRegression()), frame, NAMES)
    secure = cf.sklearn.compile(estimator, frame)
    assert np.mean(secure.predict(frame) == estimator.predict(frame)) > 0.99


def test_compile_takes_estimators_too() -> None:
    estimator = fitted(CLASSIFIERS[0], FLOWERS, NAMES)
    program = cf.compile(estimator, FLOWERS, progress=False)
    np.testing.assert_allclose(program.simulate(FLOWERS), estimator.decision_function(FLOWERS), atol=0.05)
    assert program.outputs[0].name == "decision_function"


@pytest.mark.parametrize(
    "estimator",
    [
        ensemble.RandomForestClassifier(3),
        svm.SVC(),
        pipeline.make_pipeline(preprocessing.PolynomialFeatures(), linear_model.LogisticRegression(max_iter=2000)),
        linear_model.SGDClassifier(loss="modified_huber"),
    ],
    ids=name,
)
def test_the_part_that_cannot_be_compiled_is_named(estimator: Any) -> None:
    estimator = fitted(estimator, FLOWERS, NAMES)
    with pytest.raises(cf.UnsupportedError) as caught:
        cf.sklearn.compile(estimator, FLOWERS)
    [node] = caught.value.nodes
    assert node.operation in name(estimator) and node.reason and node.advice


def test_what_is_not_fitted_is_said() -> None:
    with pytest.raises(sklearn.exceptions.NotFittedError):
        cf.sklearn.compile(linear_model.LogisticRegression(), FLOWERS)
