"""Static arrays: interned by content, read-only, hashable, and safe in the static part of a pytree."""

import copy
import gc
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepconstruct._static import StaticArray, _interned


class Holder(eqx.Module):
    weight: jax.Array
    index: StaticArray = eqx.field(static=True)


def holder(index: list[int]) -> Holder:
    return Holder(jnp.ones(2), StaticArray(index))


def test_equal_contents_are_one_object():
    assert StaticArray([1, 2, 3]) is StaticArray(np.array([1, 2, 3]))


@pytest.mark.parametrize(
    "first,second",
    [
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1, 2], "int32"), np.array([1, 2], "int64")),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(6), np.zeros((2, 3))),
        (np.zeros(0), np.zeros((0, 1))),
    ],
    ids=["values", "dtype", "shape", "rank", "empty"],
)
def test_other_contents_are_another_object(first, second):
    assert StaticArray(first) is not StaticArray(second)
    assert StaticArray(first) != StaticArray(second)


def test_equal_contents_hash_alike():
    # Both stay alive, so that the second isn't made at the freed address of the first.
    first, second = StaticArray([4, 5]), StaticArray([4, 5])
    assert hash(first) == hash(second)
    assert len({first, second}) == 1


def test_memory_layout_is_not_content():
    values = np.arange(6).reshape(2, 3)
    assert StaticArray(values) is StaticArray(np.asfortranarray(values))


def test_array_is_read_only():
    with pytest.raises(ValueError, match="read-only"):
        StaticArray([1, 2]).array[0] = 7


def test_array_is_a_copy():
    values = np.array([1, 2])
    static = StaticArray(values)
    values[0] = 7
    assert static.array.tolist() == [1, 2]
    assert values.flags.writeable


def test_copies_and_pickles_are_the_same_object():
    static = StaticArray([[1, 2], [3, 4]])
    assert copy.copy(static) is static
    assert copy.deepcopy(static) is static
    assert pickle.loads(pickle.dumps(static)) is static


def test_unused_arrays_are_freed():
    def alive() -> int:
        return sum(shape == (11, 13) for _, shape, _ in _interned)

    static = StaticArray(np.full((11, 13), 5))
    assert alive() == 1
    del static
    gc.collect()
    assert alive() == 0


def test_repr_does_not_print_contents():
    assert repr(StaticArray(np.zeros(1000))) == "StaticArray(float64, shape=(1000,))"


def test_two_equal_objects_share_one_trace():
    traces = []

    @jax.jit
    def run(module: Holder):
        traces.append(module.index)
        return module.weight[module.index.array]

    for _ in range(2):
        run(holder([1, 0]))
    assert len(traces) == 1
    run(holder([0, 1]))
    assert len(traces) == 2


def test_two_equal_objects_are_one_static_argument():
    traces = []

    def run(x, index):
        traces.append(index)
        return x[index.array]

    compiled = jax.jit(run, static_argnums=1)
    assert compiled(jnp.array([5.0, 6.0]), StaticArray([1, 0])).tolist() == [6.0, 5.0]
    compiled(jnp.array([5.0, 6.0]), StaticArray([1, 0]))
    assert len(traces) == 1


def test_tree_structures_with_equal_arrays_are_equal():
    assert jax.tree.structure(holder([1, 0])) == jax.tree.structure(holder([1, 0]))
    assert jax.tree.structure(holder([1, 0])) != jax.tree.structure(holder([0, 1]))
