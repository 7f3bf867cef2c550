"""`from_stablehlo` on files that are not as they should be, and calls that are not."""

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jgc.export import from_stablehlo, to_stablehlo
from jgc.export.reader import FORMAT, MAGIC, to_bytes
from tests.export.cases import restored
from tests.models.cases import graph

pytest.importorskip("flatbuffers", reason="flatbuffers is not installed (jgc[export])")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A node model and a link model."""
    folder = tmp_path_factory.mktemp("exported")
    to_stablehlo(restored("mlp", "graph"), folder / "graph")
    to_stablehlo(restored("mlp", "link"), folder / "link")
    return folder


def parts(data):
    """The head and the packed program of a file."""
    _, head, packed = data.split(b"\n", 2)
    return json.loads(head), packed


def sealed(head, packed):
    """A file whose digest is right whatever is in it."""
    body = (head if isinstance(head, bytes) else json.dumps(head).encode()) + b"\n" + packed
    return f"{MAGIC} {FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def edited(data, **entries):
    head, packed = parts(data)
    return sealed({**head, **entries}, packed)


def without(data, key):
    head, packed = parts(data)
    return sealed({name: value for name, value in head.items() if name != key}, packed)


def repacked(data, packed):
    return sealed(parts(data)[0], packed)


def of_version(data, version):
    """The file with a program that says another calling convention, as its head may not."""
    program = bytearray(zlib.decompress(parts(data)[1]))
    held = export.deserialize(program)
    object.__setattr__(held, "calling_convention_version", version)
    return repacked(data, zlib.compress(bytes(held.serialize())))


BAD = {
    "empty": (lambda d: b"", "is no file of `jgc.export.to_stablehlo`"),
    "another kind": (lambda d: b"\x89PNG\r\n" + d, "is no file of `jgc.export.to_stablehlo`"),
    "another format": (
        lambda d: d.replace(b"stablehlo 1 ", b"stablehlo 7 ", 1),
        "its format is '7', this jgc reads '1'",
    ),
    "cut off": (lambda d: d[: len(d) // 2], "SHA-256 .* cut off, damaged or altered"),
    "one bit": (lambda d: d[:-1] + bytes([d[-1] ^ 1]), "SHA-256 .* cut off, damaged or altered"),
    "no JSON": (lambda d: sealed(b"{", b""), "head: it is no JSON"),
    "no table": (lambda d: sealed([1], b""), "head: it is a list and no table"),
    "no inputs": (lambda d: without(d, "inputs"), "head: KeyError"),
    "inputs of nothing": (lambda d: edited(d, inputs=[{}]), "head: KeyError"),
    "another type": (
        lambda d: edited(d, output={**parts(d)[0]["output"], "dtype": "object"}),
        "is no array that a model takes",
    ),
    "a newer convention": (
        lambda d: edited(d, calling_convention=999),
        r"calling convention is 999, jax \S+ runs \d+ to \d+. Run it with a newer jax or export",
    ),
    "an older convention": (
        lambda d: edited(d, calling_convention=1, jax="0.4.1"),
        "calling convention is 1, .* Run it with jax 0.4.1, which wrote it,",
    ),
    "a convention that the head conceals": (
        lambda d: of_version(d, 999), "its calling convention is 999"
    ),
    "no zlib": (lambda d: repacked(d, b"abc"), "program: Error"),
    "half a program": (lambda d: repacked(d, parts(d)[1][:-9]), "it does not end where it should"),
    "more behind": (lambda d: repacked(d, parts(d)[1] + b"a"), "it does not end where it should"),
    "a bomb": (lambda d: repacked(d, zlib.compress(bytes(1 << 27))), "or is too large"),
    "no program": (
        lambda d: repacked(d, zlib.compress(b"nothing")),
        r"jax \S+ cannot read its program, which jax \S+ wrote",
    ),
    "a damaged program": (
        lambda d: repacked(d, zlib.compress(zlib.decompress(parts(d)[1])[:-2000])),
        "cannot read its program",
    ),
    "other arrays": (
        lambda d: edited(d, inputs=parts(d)[0]["inputs"][::-1]), "its head names arrays .* its prog"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_words(files, tmp_path, name):
    damage, said = BAD[name]
    path = tmp_path / "bad.stablehlo"
    path.write_bytes(damage((files / "graph").read_bytes()))
    with pytest.raises(ValueError, match=rf"`{path}`.*{said}"):
        from_stablehlo(path)


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_stablehlo(tmp_path / "none")


def test_a_program_that_calls_foreign_code_is_not_run(tmp_path):
    """On CPU a QR decomposition calls LAPACK; it stands for any code that a file may name."""
    program = export.export(jax.jit(lambda x: jnp.linalg.qr(x)[0]), platforms=["cpu"])
    program = program(jax.ShapeDtypeStruct((3, 3), np.float32))
    port = {"name": "x", "dims": [3, 3], "dtype": "float32"}
    head = {"inputs": [port], "output": port, "jgc": "", "jax": "", "calling_convention": 10}
    path = tmp_path / "foreign"
    path.write_bytes(to_bytes(head, bytes(program.serialize())))
    with pytest.raises(ValueError, match="its program calls code from outside of itself"):
        from_stablehlo(path)


def given(**changed):
    held = graph()
    return {
        "nodes": held.nodes, "senders": held.senders, "receivers": held.receivers, **changed
    }  # fmt: skip


CALLS = {
    "too few": ({"nodes": None}, r"the model takes \['nodes', .*got 3: \['senders', "),
    "unknown": ({"weights": 1}, r"the model takes .*got 5: .*'weights'"),
    "width": ({"nodes": np.ones((5, 4))}, r"`nodes float32\[n_node, 5\]`.* got \[5, 4\]"),
    "rank": ({"senders": np.zeros((7, 1), int)}, r"`senders int32\[n_edge\]`, .* got \[7, 1\]"),
    "edges of two lengths": ({"receivers": [0]}, r"`receivers .*'n_edge': 7}; got \[1\]"),
    "no nodes": ({"nodes": np.ones((0, 5))}, "`nodes` is empty: `n_node` must be at least 1"),
    "no graphs": ({"graph_sizes": np.zeros(0, int)}, "`graph_sizes` is empty: `n_graph`"),
    "floats as ids": ({"senders": np.zeros(7)}, "`senders` must be int32, got float64"),
    "text": ({"nodes": np.full((5, 5), "a")}, "`nodes` must be float32, got <U1"),
    "too large": ({"senders": [0, 5, 0, 0, 0, 0, 0]}, r"`senders\[1\]` is 5; it must be in 0..4"),
    "negative": ({"receivers": [-1, 0, 0, 0, 0, 0, 0]}, r"`receivers\[0\]` is -1; .* in 0..4"),
    "NaN": ({"nodes": np.full((5, 5), np.nan)}, "`nodes` holds numbers that are not finite"),
    "beyond float32": ({"nodes": np.full((5, 5), 1e300)}, "not finite as float32"),
    "nodes left over": ({"graph_sizes": [2, 2]}, "`graph_sizes` sums to 4; there are 5 nodes"),
    "a negative size": ({"graph_sizes": [6, -1]}, r"`graph_sizes\[1\]` is -1; .* 0 or more"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_call_is_refused_in_words(files, name):
    changed, said = CALLS[name]
    arrays = {**given(graph_sizes=[5]), **changed}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    with pytest.raises(ValueError, match=said):
        from_stablehlo(files / "graph")(**arrays)


def test_pairs_are_checked(files):
    with pytest.raises(ValueError, match=r"`pairs\[0, 1\]` is 9; it must be in 0..4"):
        from_stablehlo(files / "link")(**given(pairs=[[0, 9]]))


def test_arrays_may_be_of_wider_types_lists_and_in_order(files):
    model = from_stablehlo(files / "graph")
    due = model(**given(graph_sizes=[2, 0, 3]))
    assert due.shape == (3, 2) and due.dtype == np.float32
    held = graph()
    again = model(
        held.nodes.astype(np.float64), held.senders.tolist(),
        held.receivers.astype(np.int64), graph_sizes=np.array([2, 0, 3], np.uint8),
    )  # fmt: skip
    np.testing.assert_array_equal(again, due)


def test_the_head_says_what_the_file_is(files):
    model = from_stablehlo(files / "link")
    assert (model.head["model"], model.head["task"], model.head["jax"]) == (
        "MLP", "link", jax.__version__,
    )  # fmt: skip
    assert [str(port) for port in model.inputs] == [
        "nodes float32[n_node, 5]", "senders int32[n_edge]", "receivers int32[n_edge]",
        "pairs int32[n_pair, 2]",
    ]  # fmt: skip
    assert model.head["platforms"] == ["cpu", "cuda", "tpu"]


def test_a_stranger_needs_jax_and_one_file(files):
    """The reader runs as a file of its own, with neither flax nor any of jgc."""
    reader = Path(sys.modules["jgc.export.reader"].__file__)
    program = f"""
import sys, numpy as np
sys.path.insert(0, {str(reader.parent)!r})
import reader
model = reader.from_stablehlo({str(files / "graph")!r})
print(model(np.ones((2, 5)), [0], [1], graph_sizes=[2]).shape)
print([name for name in ("flax", "jgc", "optax", "jraph") if name in sys.modules])
"""
    # Without the folder that `-c` would add: it holds jgc.
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["(1, 2)", "[]"]


def test_importing_the_reader_imports_no_models():
    program = (
        "import sys; from jgc.export import from_stablehlo; "
        "print([n for n in ('flax', 'jgc.models', 'jgc.graph') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
