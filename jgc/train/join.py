"""Joining the processes of several hosts, with a roll call that ends in time."""

import math
import socket
import time
from contextlib import ExitStack

import jax

ROLL = b"jgc process %d\n"
GO = b"go"
PATIENCE = 1.0  # Seconds that who calls has for its first word.


def join(address: str, n_process: int, process: int, *, seconds: float = 60.0) -> None:
    """Makes this process one of several that train together; call it before anything uses jax.

    Afterwards `jax.devices()` are those of all processes, and `jgc.train.problem(devices=...)` may
    ask for as many. All processes run the same program on the same data.

    jax itself ends a process whose peers stay away, with a page of stack. So all meet at the
    address first: who does not come is named, in an exception.

    Args:
        address: `"host:port"` of process 0, which the others can reach; a free port there.
        n_process: How many there are, >= 1.
        process: Number of this one, in `0..n_process-1`.
        seconds: How long to wait for the others, > 0.

    Raises:
        ValueError: for an address that is none or numbers out of range.
        TimeoutError: naming the processes that did not come, or the address that did not answer.
        OSError: if process 0 cannot listen at the address.

    Example:
        >>> join("here", 2, 0)
        Traceback (most recent call last):
            ...
        ValueError: `address` must be "host:port" of process 0, got 'here'.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f'`address` must be "host:port" of process 0, got {address!r}.')
    if not 0 <= process < n_process:
        raise ValueError(f"`process` must be in 0..{n_process - 1}, got {process}.")
    if not seconds > 0:
        raise ValueError(f"`seconds` must be > 0, got {seconds}.")
    deadline = time.monotonic() + seconds
    if process == 0:
        _call(host, int(port), set(range(1, n_process)), deadline, seconds)
    else:
        _answer(host, int(port), process, deadline, seconds)
    jax.distributed.initialize(
        address, n_process, process, initialization_timeout=max(10, math.ceil(seconds))
    )


def _call(host: str, port: int, others: set[int], deadline: float, seconds: float) -> None:
    """Process 0 waits until all others are there, and tells them."""
    try:
        server = socket.create_server((host, port))
    except OSError as error:
        raise OSError(f"process 0 cannot listen at {host}:{port}: {error.strerror}.") from None
    calls: dict[int, socket.socket] = {}
    with ExitStack() as held:
        held.enter_context(server)
        while calls.keys() != others:
            server.settimeout(_left(deadline))
            try:
                call = held.enter_context(server.accept()[0])
            except TimeoutError:
                raise TimeoutError(
                    f"Of {len(others) + 1} processes these did not come to {host}:{port} within "
                    f"{seconds:g} s: {sorted(others - calls.keys())}. Do they run, with the same "
                    "address, and does the network let them through?"
                ) from None
            except ConnectionError:
                continue  # Hung up on the way.
            call.settimeout(min(PATIENCE, _left(deadline)))
            try:
                number = _number(call.recv(64))
            except OSError:
                call.close()  # Hung up or silent. Should it be one of ours, it comes again.
                continue
            if number in others:
                calls[number] = call  # Who comes again waits there.
        for call in calls.values():
            call.settimeout(_left(deadline))
            call.sendall(GO)
            call.recv(1)  # They hang up first, so that the port is free for jax at once.


def _answer(host: str, port: int, process: int, deadline: float, seconds: float) -> None:
    """The others come to process 0 and wait for its word."""
    while True:
        try:
            with socket.create_connection((host, port), timeout=_left(deadline)) as call:
                call.sendall(ROLL % process)
                if call.recv(len(GO)) == GO:
                    return
        except OSError:
            pass  # Not there yet, or gone: come again.
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"Process {process} got no word from process 0 at {host}:{port} within "
                f"{seconds:g} s: it is not there, or waits for others. Its own words say which."
            )
        time.sleep(0.1)


def _number(word: bytes) -> int:
    """Whoever comes; -1 for strangers."""
    number = word.removeprefix(ROLL.split(b"%")[0]).strip()
    return int(number) if number.isdigit() else -1


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)
