"""Networks of scikit-learn."""

from typing import Any

from ..network import Network

# What layers here call its activations; a regressor of counts has an exponential readout.
_NAMES = {"logistic": "sigmoid"} | {name: name for name in ("identity", "tanh", "relu", "softmax", "exp")}


def from_sklearn(model: Any) -> Network:
    """A network from a fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

    A classifier becomes the network of `predict_proba`: one probability a class, but that of the second alone where
    there are two classes.

    Args:
        model: the fitted model; scikit-learn itself isn't needed.

    Returns:
        The network, with dense matrices in the dtype of the model.

    Raises:
        TypeError: another model, or one that isn't fitted.
        ValueError: an activation that isn't known, or NaN or infinite weights.
    """
    fields = ("coefs_", "intercepts_", "activation", "out_activation_")
    if not all(hasattr(model, field) for field in fields):
        raise TypeError(f"from_sklearn: expected a fitted MLPClassifier or MLPRegressor; got {type(model).__name__}")
    names = [model.activation] * (len(model.coefs_) - 1) + [model.out_activation_]
    unknown = [name for name in names if name not in _NAMES]
    if unknown:
        raise ValueError(f"from_sklearn: no activation {unknown[0]!r}; known are {', '.join(_NAMES)}")
    matrices = [matrix.T for matrix in model.coefs_]
    return Network.from_matrices(matrices, model.intercepts_, [_NAMES[name] for name in names])
