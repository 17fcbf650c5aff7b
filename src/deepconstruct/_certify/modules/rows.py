"""Rows of integers that are equal."""

import numpy as np

_PRIME = np.uint64(0x9E3779B97F4A7C15)


def ranks(ordered: np.ndarray) -> np.ndarray:
    """The place of every element among those equal to it, which stand together."""
    index = np.arange(len(ordered))
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, bool)
    return index - np.maximum.accumulate(np.where(starts, index, 0))


def distinct_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of every kind of equal rows, and the kind of every row."""
    if len(matrix) == 1 or not matrix.shape[1]:
        return np.zeros(1, np.int64), np.zeros(len(matrix), np.int64)
    mixed = np.zeros(len(matrix), np.uint64)
    for column in np.ascontiguousarray(matrix.T).view(np.uint64):
        mixed = (mixed ^ column) * _PRIME
        mixed ^= mixed >> np.uint64(29)
    _, first, kind = np.unique(mixed, return_index=True, return_inverse=True)
    kind = kind.reshape(-1)
    if not np.array_equal(matrix, matrix[first][kind]):  # two rows with one number
        _, first, kind = np.unique(matrix, axis=0, return_index=True, return_inverse=True)
    return first, kind.reshape(-1)


def bits(values: np.ndarray) -> np.ndarray:
    """Numbers of double precision as integers."""
    # Adding 0 makes one zero of both.
    return np.ascontiguousarray(values + 0.0).view(np.int64)
