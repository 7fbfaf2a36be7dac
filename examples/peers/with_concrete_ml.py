"""Concrete ML: homomorphic encryption, client and server in one process."""

import numpy as np
from task import digits, timed, told, tumours

with timed("import"):
    import torch
    from concrete.ml.sklearn import LogisticRegression
    from concrete.ml.torch.compile import compile_torch_model

answers = {}
model, train, x = tumours()
with timed("regression, compile"):
    private = LogisticRegression.from_sklearn_model(model, train, n_bits=8)
    private.compile(train)
for which in ("first", "next"):
    with timed(f"regression, {which}"):
        y = private.predict_proba(x, fhe="execute")
answers["regression"] = y, model.predict_proba(x)

model, train, x = digits()
x = x[:1]  # It takes minutes.
layers = []
for w, b in zip(model.coefs_, model.intercepts_):
    layer = torch.nn.Linear(*w.shape)
    layer.weight.data, layer.bias.data = torch.tensor(w.T, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)
    layers += [layer, torch.nn.ReLU()]
with timed("network, compile"):
    module = compile_torch_model(torch.nn.Sequential(*layers[:-1]), train[:200], n_bits=6, rounding_threshold_bits=6)
for which in ("first", "next"):
    with timed(f"network, {which}"):
        logits = module.forward(x, fhe="execute")
e = np.exp(logits - logits.max(axis=1, keepdims=True))
answers["network"] = e / e.sum(axis=1, keepdims=True), model.predict_proba(x)
told(**answers)
