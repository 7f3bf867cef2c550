"""Every rule of the ONNX writer against jax, with sizes left open and a graph without edges."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jgc.export.program import Program
from jgc.export.reader import Port

pytest.importorskip("onnx", reason="onnx is not installed (jgc[export])")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (jgc[export])")

from jgc.export.convert import program_of  # noqa: E402
from jgc.export.onnx_file import RULES, to_bytes  # noqa: E402

INPUTS = (
    Port("x", ("n_node", 3), "float32"),
    Port("ids", ("n_edge",), "int32", below="n_node"),
    Port("y", ("n_edge", 3), "float32"),
)
OPTIONAL = {"copy", "copy_p", "stack", "stop_gradient", "square"}  # Not in every version of jax.


def scanned(x):
    return lax.scan(lambda carry, w: (carry * w, carry + w), x, jnp.array([2.0, 3.0, -1.0]))


def scanned_back(x):
    rows = jnp.array([[2.0], [3.0]])
    return lax.scan(lambda carry, w: (carry - w, carry * w), x[:1, 0], rows, reverse=True)[1]


ROWS = {
    "add": lambda x, ids, y: x + x[:, :1],
    "sub": lambda x, ids, y: x - 2.5,
    "mul": lambda x, ids, y: x * jnp.array([[1.0, 2.0, -3.0]]),
    "div": lambda x, ids, y: 1 / (x + 4),
    "max": lambda x, ids, y: jnp.maximum(x, x[:, 1:2]),
    "min": lambda x, ids, y: jnp.minimum(x, 0.25),
    "neg": lambda x, ids, y: -x,
    "abs": lambda x, ids, y: jnp.abs(x),
    "sign": lambda x, ids, y: jnp.sign(x),
    "floor": lambda x, ids, y: jnp.floor(3 * x),
    "ceil": lambda x, ids, y: jnp.ceil(3 * x),
    "exp": lambda x, ids, y: jnp.exp(x),
    "log": lambda x, ids, y: jnp.log(x * x + 1),
    "sqrt": lambda x, ids, y: jnp.sqrt(x * x),
    "tanh": lambda x, ids, y: jnp.tanh(x),
    "logistic": lambda x, ids, y: jax.nn.sigmoid(x),
    "erf": lambda x, ids, y: lax.erf(x),
    "pow": lambda x, ids, y: jnp.abs(x) ** 1.5,
    "eq": lambda x, ids, y: (ids == 1)[:, None] * y,
    "ne": lambda x, ids, y: (ids != 1)[:, None] * y,
    "lt": lambda x, ids, y: jnp.where(x < 0.1, x, 2),
    "le": lambda x, ids, y: jnp.where(x <= 0.1, x, 2),
    "gt": lambda x, ids, y: jnp.where(x > 0.1, x, 2),
    "ge": lambda x, ids, y: jnp.where(x >= 0.1, x, 2),
    "lt_to": lambda x, ids, y: jnp.searchsorted(jnp.array([-0.5, 0.2, 0.3]), x, side="right"),
    "le_to": lambda x, ids, y: jnp.searchsorted(jnp.array([-0.5, 0.2, 0.3]), x),
    "and": lambda x, ids, y: (x > 0) & (x < 0.5),
    "or": lambda x, ids, y: (x > 0.5) | (x < 0),
    "not": lambda x, ids, y: ~(x > 0.5),
    "xor": lambda x, ids, y: (x > 0.5) ^ (x < 0.7),
    "copy": lambda x, ids, y: jnp.copy(x),
    "copy_p": lambda x, ids, y: jnp.array(x, copy=True),
    "stop_gradient": lambda x, ids, y: lax.stop_gradient(x) + 0.5,
    "optimization_barrier": lambda x, ids, y: lax.optimization_barrier(x),
    "select_n": lambda x, ids, y: jnp.where(x[:, :1] > 0, x, 7.0),
    "convert_element_type": lambda x, ids, y: (4 * x).astype(jnp.int32),
    "round": lambda x, ids, y: jnp.round(2 * jnp.round(8 * x) / 4),  # with halves
    "rsqrt": lambda x, ids, y: lax.rsqrt(x * x + 1),
    "expm1": lambda x, ids, y: jax.nn.elu(x),
    "integer_pow": lambda x, ids, y: x**3,
    "square": lambda x, ids, y: jnp.square(x),
    "shift_left": lambda x, ids, y: jnp.left_shift(1, ids),
    "clamp": lambda x, ids, y: lax.clamp(-0.25, x, 0.5),
    "broadcast_in_dim": lambda x, ids, y: jnp.broadcast_to(x[:, None], (x.shape[0], 2, 3)),
    "reshape": lambda x, ids, y: x.reshape(-1),
    "squeeze": lambda x, ids, y: lax.squeeze(x[:, :1], (1,)),
    "transpose": lambda x, ids, y: x.T,
    "concatenate": lambda x, ids, y: jnp.concatenate([y, jnp.full_like(x, 2)]),
    "iota": lambda x, ids, y: (
        jnp.arange(x.shape[0])[:, None] + lax.broadcasted_iota(jnp.int32, (1, 2), 1)
    ),
    "dim_as_value": lambda x, ids, y: x * x.shape[0],
    "reduce_sum": lambda x, ids, y: x.sum(1),
    "reduce_max": lambda x, ids, y: x.max(0),
    "reduce_min": lambda x, ids, y: x.min((0, 1)),
    "reduce_or": lambda x, ids, y: (x > 0.5).any(1),
    "reduce_and": lambda x, ids, y: (x > 0.5).all(0),
    "cumsum": lambda x, ids, y: jnp.cumsum(x, 0) + lax.cumsum(x, 1, reverse=True),
    "dot_general": lambda x, ids, y: x @ jnp.array([[1.0], [2.0], [4.0]]),
    "slice": lambda x, ids, y: lax.slice(x, (0, 0), (x.shape[0], 3), (1, 2)),
    "rev": lambda x, ids, y: x[::-1] - x[:, ::-1],
    "gather": lambda x, ids, y: x[ids] + y,
    "scatter-add": lambda x, ids, y: x.at[ids].add(y),
    "scatter-max": lambda x, ids, y: x.at[ids].max(y),
    "scan": lambda x, ids, y: scanned(x)[0] + scanned(x)[1].sum(0) + scanned_back(x).sum(),
    "stack": lambda x, ids, y: jnp.stack([x, x + 1], 1),
}


def test_every_rule_has_a_row():
    assert set(ROWS) == set(RULES)


def as_program(function):
    """A function of `INPUTS` as a program without weights."""
    function = jax.jit(function)
    blank = {"task": "node", "kind": "class", "dataset": "", "meta": {}, "variables": {}}
    made = Program(
        lambda variables, *arrays: function(*arrays), {}, INPUTS, Port("out", (), "float32"),
        SimpleNamespace(**blank), "Toy",
    )  # fmt: skip
    shape = jax.eval_shape(function, *made.shapes())
    dims = tuple(dim if isinstance(dim, int) else f"size_{i}" for i, dim in enumerate(shape.shape))
    return made._replace(output=Port("out", dims, shape.dtype.name))


def primitives(function):
    found = set()

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            found.add(equation.primitive.name)
            for inner in (program_of(equation), *equation.params.values()):
                if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
                    walk(getattr(inner, "jaxpr", inner))

    walk(jax.make_jaxpr(function)(*as_program(function).shapes()).jaxpr)
    return found


def run(function, *arrays):
    data = to_bytes(as_program(function))
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [port.name for port in INPUTS]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0]


def arrays(n_node, n_edge):
    rng = np.random.default_rng(n_node)
    x, y = (rng.uniform(-1, 1, (n, 3)).astype(np.float32) for n in (n_node, n_edge))
    return x, rng.integers(0, n_node, n_edge, dtype=np.int32), y


@pytest.mark.parametrize("name", ROWS)
def test_a_rule_does_what_jax_does(name):
    function = ROWS[name]
    if name in OPTIONAL and name not in primitives(function):
        pytest.skip(f"this jax has no operation `{name}`")
    assert name in primitives(function)
    for sizes in ((4, 6), (7, 0)):
        given = arrays(*sizes)
        found, due = run(function, *given), np.asarray(jax.jit(function)(*given))
        assert found.dtype == due.dtype
        np.testing.assert_allclose(found, due, rtol=1e-5, atol=1e-6)


MORE = {
    "products in batches": lambda x, ids, y: jnp.einsum("ij,ik->ijk", x, x),
    "a contraction of first axes": lambda x, ids, y: lax.dot_general(
        x, x, (((0,), (0,)), ((), ()))
    ),
    "a batched matrix product": lambda x, ids, y: x.reshape(-1, 1, 3) @ x.reshape(-1, 3, 1),
    "columns": lambda x, ids, y: x[:, jnp.array([[2, 0], [1, 1]])],
    "a part behind a size": lambda x, ids, y: jnp.concatenate([y, x])[ids.shape[0] :],
    "several axes at once": lambda x, ids, y: x.reshape(-1, 3, 1)[:, 1, 0],
    "sums of single numbers": lambda x, ids, y: jnp.zeros(x.shape[0]).at[ids].add(1.0),
    "an array of a sum of sizes": lambda x, ids, y: jnp.zeros(x.shape[0] + 2 * ids.shape[0]) + 1,
    "numbers of other types": lambda x, ids, y: x[ids.astype(jnp.uint32)],
    "a program inside": lambda x, ids, y: jax.jit(jnp.tanh)(x) + jax.nn.relu(x),
}


@pytest.mark.parametrize("name", MORE)
def test_other_forms_of_rules(name):
    for sizes in ((4, 6), (7, 0)):
        given = arrays(*sizes)
        np.testing.assert_allclose(
            run(MORE[name], *given), np.asarray(jax.jit(MORE[name])(*given)), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(
    "function, said",
    [
        (lambda x, ids, y: jnp.sort(x), "the operation `sort` of jax has no form in ONNX here"),
        (lambda x, ids, y: x.at[:, ids].add(1.0), "a scatter by .* has no form in ONNX here"),
        (lambda x, ids, y: x[ids, jnp.minimum(ids, 2)], "a gather by .* has no form in ONNX here"),
        (
            lambda x, ids, y: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
            "rounds halves to even",
        ),
        (lambda x, ids, y: jnp.zeros(ids.shape[0] // 2), "the size floordiv.* has no form"),
        (lambda x, ids, y: lax.select_n(ids, ids, ids, ids), "chooses between two only"),
    ],
)
def test_what_has_no_form_is_said(function, said):
    with pytest.raises(ValueError, match=f"Toy cannot be exported to ONNX: .*{said}"):
        to_bytes(as_program(function))


def ops(function):
    import onnx

    return [
        node.op_type for node in onnx.load_from_string(to_bytes(as_program(function))).graph.node
    ]


@pytest.mark.parametrize(
    "function, left",
    [
        # Constants are worked out; ids are never negative; nothing is repeated that need not be.
        (lambda x, ids, y: x * jnp.exp(jnp.arange(3.0)).sum(), ["Mul"]),
        (lambda x, ids, y: x[jnp.maximum(ids, 0)], ["Gather"]),
        (lambda x, ids, y: jnp.where(jnp.ones(x.shape[0], bool)[:, None], x, 0) + 1, ["Add"]),
        (lambda x, ids, y: x + jnp.full(x.shape, 2.0) * 3, ["Add"]),
        (lambda x, ids, y: jnp.tanh(x) + jnp.tanh(x), ["Tanh", "Add"]),
    ],
)
def test_no_node_is_written_that_does_nothing(function, left):
    assert ops(function) == [*left, "Identity"]


def test_sums_over_many_edges_are_right_on_many_threads():
    """Whole numbers, so that no sum depends on its order; a lost one shows."""
    rng = np.random.default_rng(0)
    x, ids = np.zeros((1000, 3), np.float32), rng.integers(0, 1000, 300_000, dtype=np.int32)
    y = rng.integers(-8, 8, (ids.size, 3)).astype(np.float32)
    due = np.zeros_like(x)
    np.add.at(due, ids, y)
    for _ in range(3):
        np.testing.assert_array_equal(run(lambda x, ids, y: x.at[ids].add(y), x, ids, y), due)
