"""Graphs on several devices: losses are those of one; here on the two that all tests have."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jgc import prune
from jgc.data import load
from jgc.models import GCN, GIN, for_task
from jgc.train import Method, Phase, join, lane, problem, traffic, train
from jgc.train.lanes import lane_mesh
from jgc.tree import named_leaves
from tests.train.cases import qat, tiny_graphs, tiny_nodes

LANES = [lane(0, sparsity=0.5), lane(1, split=1, sparsity=0.5)]
PROGRAM = Path(__file__).with_name("devices_program.py")
PRUNED = Method(
    "global",
    (Phase(3), Phase(2, prune=True)),
    lambda sparsity, key: prune.METHODS["global"](sparsity, key=key),
)

STORED = PRUNED._replace(name="stored", stored=True)


def model(architecture=None):
    return for_task(architecture or GCN(hidden=8), "node", tiny_nodes().n_class)


@pytest.fixture(scope="module")
def runs(programs):
    del programs

    def run(**choices):
        return train(model(), problem(tiny_nodes(), **choices), PRUNED, LANES, chunk=2).state

    return {"one": run(), "float32": run(devices=2), "int8": run(devices=2, wire="int8")}


def test_two_devices_train_as_one(runs):
    """Dropout, splits, pruning and the choice of the epoch included."""
    one, two = runs["one"], runs["float32"]
    for name in ("loss", "val", "test"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), two.model.masks, one.model.masks)
    np.testing.assert_array_equal(two.best.epoch, one.best.epoch)
    assert two.owed is None


def test_bytes_train_nearly_so_and_carry_what_they_owe(runs):
    np.testing.assert_allclose(runs["int8"].loss, runs["one"].loss, atol=0.02)
    assert (runs["int8"].loss != runs["one"].loss).any()
    owed = runs["int8"].owed
    task = problem(tiny_nodes(), devices=2, wire="int8")
    rows = 2 * 2, task.parts.n_send  # Of both devices, to both.
    assert [[half.shape for half in pair] for pair in owed] == [
        [(2, *rows, width)] * 2 for width in (8, 3)
    ]
    assert all(half.any() for pair in owed for half in pair)


def test_traffic_by_hand():
    data = tiny_nodes()
    plain, bytes_ = (problem(data, devices=4, wire=wire) for wire in ("float32", "int8"))
    a, b = (traffic(model(), task) for task in (plain, bytes_))
    assert a.widths == (8, 3) and a.boundary == plain.parts.sent.sum() <= a.n_cut
    assert a.rows == 4 * 3 * plain.parts.n_send >= a.boundary
    assert a.bytes_step == 2 * a.bytes_answer == 2 * a.rows * 4 * (8 + 3)
    assert b.bytes_step == 2 * b.rows * (8 + 2 + 3 + 2)
    assert b.bytes_cut == 2 * b.boundary * (8 + 2 + 3 + 2)
    with pytest.raises(ValueError, match="`task` is on one device"):
        traffic(model(), problem(data))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"devices": 0}, "`devices` must be >= 1, got 0"),
        ({"devices": 41}, r"`n_part` must be in 1\.\.40, the number of nodes, got 41"),
        ({"devices": 2, "wire": "int4"}, "`wire` must be one of"),
        ({"devices": 2, "metric": "macro_f1"}, r"a mean over nodes, \['accuracy', 'log_loss'\]"),
        ({"devices": 2, "choose": "roc_auc"}, "got 'roc_auc'"),
        ({"devices": 2, "guess_weights": np.ones(1)}, "neither `batch_size` nor `guess_weights`"),
    ],
)
def test_wrong_words_are_errors(choices, message):
    with pytest.raises(ValueError, match=message):
        problem(tiny_nodes(), **choices)


def test_tasks_that_are_not_dealt_say_so():
    with pytest.raises(ValueError, match="deals the nodes of one graph.*has task 'graph'"):
        problem(tiny_graphs(), devices=2)
    with pytest.raises(ValueError, match="`devices` = 3 must divide the number of devices.* is 2"):
        lane_mesh(1, 3)


def test_what_wants_one_device_says_so():
    task = problem(tiny_nodes(), devices=2)
    for case in ("qat", "stored"):
        method = PRUNED._replace(name=case, quantizer=qat) if case == "qat" else STORED
        with pytest.raises(ValueError, match="which are for one device: make the `task` without"):
            train(model(), task, method, LANES)


def test_wrong_addresses_are_errors():
    for wrong in ("here", ":1", "here:"):
        with pytest.raises(ValueError, match='`address` must be "host:port" of process 0'):
            join(wrong, 2, 0)
    with pytest.raises(ValueError, match=r"`process` must be in 0\.\.1, got 2"):
        join("localhost:1", 2, 2)
    with pytest.raises(ValueError, match="`seconds` must be > 0"):
        join("localhost:1", 2, 1, seconds=0)


def test_who_never_joins_is_named():
    began, address = time.monotonic(), f"127.0.0.1:{free_port()}"
    with pytest.raises(TimeoutError, match=r"Of 3 processes these did not come .*: \[1, 2\]"):
        join(address, 3, 0, seconds=0.3)
    with pytest.raises(TimeoutError, match="Process 1 got no word from process 0"):
        join(address, 2, 1, seconds=0.3)
    assert time.monotonic() - began < 10


@contextlib.contextmanager
def calling(port, *words):
    """Calls at a port, each with a word, that hang up at an answer; the late ones call in vain."""
    over = threading.Event()

    def call(word):
        while not over.wait(0.01):
            with contextlib.suppress(ConnectionRefusedError):
                with socket.create_connection(("127.0.0.1", port)) as own:
                    own.sendall(word)
                    with contextlib.suppress(ConnectionError):
                        own.recv(2)
                    return

    threads = [threading.Thread(target=call, args=[word]) for word in words]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_strangers_and_who_comes_twice_stand_for_nobody(monkeypatch):
    joined = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *words, **_: joined.append(words))
    one, two, stranger = b"jgc process 1\n", b"jgc process 2\n", b"GET / HTTP/1.1"
    port = free_port()
    with calling(port, stranger, one, one):
        with pytest.raises(TimeoutError, match=r"Of 3 processes these did not come .*: \[2\]"):
            join(f"127.0.0.1:{port}", 3, 0, seconds=1)
    assert not joined
    with calling(port, *[stranger] * 8, one, two):
        join(f"127.0.0.1:{port}", 3, 0, seconds=10)
    assert joined == [(f"127.0.0.1:{port}", 3, 0)]


def test_who_calls_and_says_nothing_holds_nobody_up(monkeypatch):
    joined = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *words, **_: joined.append(words))
    address = ("127.0.0.1", free_port())
    joining = threading.Thread(target=join, args=("{}:{}".format(*address), 2, 0))
    joining.start()
    silent = None
    while silent is None and joining.is_alive():
        with contextlib.suppress(ConnectionRefusedError):
            silent = socket.create_connection(address)
    assert silent is not None
    with silent, calling(address[1], b"jgc process 1\n"):
        joining.join(timeout=20)  # A third of what `join` waits for all.
    assert joined


def test_an_address_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="process 0 cannot listen"):
            join(f"127.0.0.1:{taken.getsockname()[1]}", 2, 0, seconds=1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def started(*words, devices):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
    environment.pop("JAX_PLATFORMS", None)
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, words)], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PROGRAM.parents[2],
    )  # fmt: skip


def finished(process):
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-2000:]
    return json.loads(out.strip().splitlines()[-1])


@pytest.mark.parametrize(
    "names", [("gat",), pytest.param(("gcn", "sage", "gin"), marks=pytest.mark.slow)]
)
def test_eight_devices_answer_as_one(names):
    """Loss and gradient of a step, with dropout and batch norm."""
    far = finished(started("eight", *names, devices=8))
    assert set(far) == set(names)
    assert max(max(loss, gradient) for loss, gradient in far.values()) < 1e-5


def test_two_processes_train_as_one(runs):
    address = f"127.0.0.1:{free_port()}"
    both = [started("process", address, i, devices=1) for i in range(2)]
    losses = [finished(process) for process in both]
    assert losses[0] == losses[1]
    np.testing.assert_allclose(losses[0], runs["one"].loss[:, :2], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["float32", "int8"])
def test_norm_over_two_devices(wire, programs):
    """A whole training of GIN: batch statistics are those of all nodes."""
    del programs
    method, tiny = Method("dense", (Phase(4),)), tiny_nodes()
    gin = model(GIN(hidden=8, layers=2, dropout=0.5))
    one = train(gin, problem(tiny), method, LANES).state
    two = train(gin, problem(tiny, devices=2, wire=wire), method, LANES).state
    loose = wire == "int8"
    np.testing.assert_allclose(two.loss, one.loss, atol=0.05 if loose else 1e-5)
    # Means are left out: the loss does not know the bias before a norm, so that Adam takes whole
    # steps along the rounding of its gradient, another on two devices.
    for path, a in named_leaves(two.model.stats).items():
        if path.endswith("var"):
            b = named_leaves(one.model.stats)[path]
            np.testing.assert_allclose(a, b, atol=0.1 if loose else 1e-4)


@pytest.mark.slow
def test_cora_keeps_its_accuracy_in_bytes(data_dir):
    data = load("cora", folder=data_dir)
    gcn = for_task(GCN(hidden=64), "node", data.n_class)
    dense = Method("dense", (Phase(200),))
    lanes = [lane(seed) for seed in range(4)]
    one = train(gcn, problem(data), dense, lanes).state.best.test
    two = train(gcn, problem(data, devices=2, wire="int8"), dense, lanes).state.best.test
    assert abs(one.mean() - two.mean()) < 0.01
