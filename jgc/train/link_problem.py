"""Link tasks: pairs of nodes against as many drawn ones, by inner products of embeddings."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.data import Dataset, training_graph, training_parts
from jgc.graph import GraphsTuple, hash_bits, layout, repeat_rows
from jgc.models import link_scores
from jgc.train.losses import link_loss
from jgc.train.metrics import METRICS, best_cut
from jgc.train.task import FITTING, Problem, Scores


def link_problem(dataset: Dataset, metric: str, parts: int, seed: int, backend: str) -> Problem:
    """The `Problem` of a link task, see `jgc.train.problem`."""
    splits = [_link_arrays(dataset, split, parts, seed, backend) for split in dataset.splits]
    per_split = jax.tree.map(lambda *leaves: jnp.stack(leaves), *splits)
    # The parts are one graph, in which every node is there once a part.
    nodes = dataset.graphs[0].nodes, repeat_rows(dataset.graphs[0].nodes, parts)

    def graph_of(nodes, edges):
        (senders, receivers, n_edge, n_node), layout = edges
        return GraphsTuple(nodes, None, receivers, senders, None, n_node, n_edge), layout

    def batch(data, epoch, step, key):
        del epoch, step
        (_, nodes), (_, edges, pairs, _) = data
        graph, layout = graph_of(nodes, edges)
        n_node = layout.n_node // parts
        # Uniform pairs, as Kipf and Welling's weighted loss over all pairs has in expectation.
        # Differs: PyG's sampler rejects the few that are edges or name one node twice.
        noise = hash_bits(key, pairs.shape) % np.uint32(n_node)
        own_part = pairs[:, :1] // n_node * n_node
        return graph, layout, (pairs, noise.astype(jnp.int32) + own_part)

    def loss(values, target):
        return link_loss(*(link_scores(values, pairs) for pairs in target))

    def answer(forward, data):
        (nodes, _), (edges, _, _, _) = data
        return forward(*graph_of(nodes, edges))

    def score(values, data, metric=metric):
        parts = tuple((link_scores(values, pairs), labels) for pairs, labels in data[1][-1])
        if metric == "accuracy":
            cut = best_cut(*parts[0])
            parts = tuple((_against(scores, cut), labels) for scores, labels in parts)
        return Scores(*(METRICS[metric](*part, jnp.ones(part[1].shape, bool)) for part in parts))

    return Problem(
        data=(jax.tree.map(jnp.asarray, nodes), per_split),
        n_split=len(splits),
        steps=1,
        batch=batch,
        loss=loss,
        answer=answer,
        score=score,
        metric=metric,
        metrics=tuple(FITTING["link"]),
    )


def _link_arrays(dataset: Dataset, split, parts: int, seed: int, backend: str):
    """Edges of the whole training graph and of its parts, the parts' pairs, and held-out pairs."""
    graph, pairs = training_parts(dataset, split, parts, seed)
    edges = tuple(_edges(g, backend) for g in (training_graph(dataset, split), graph))
    held_out = tuple(
        (jnp.asarray(np.concatenate(pair), jnp.int32), _ones_then_zeros(*map(len, pair)))
        for pair in ((split.val, split.val_neg), (split.test, split.test_neg))
    )
    return *edges, jnp.asarray(pairs, jnp.int32), held_out


def _edges(graph: GraphsTuple, backend: str):
    ends = tuple(map(jnp.asarray, (graph.senders, graph.receivers, graph.n_edge, graph.n_node)))
    return ends, layout(graph, backend)


def _against(scores: Array, cut: Array) -> Array:
    """Logits of two classes, of which the second wins above the cut."""
    return jnp.stack([jnp.full_like(scores, cut), scores], -1)


def _ones_then_zeros(n_one: int, n_zero: int) -> Array:
    return jnp.asarray(np.repeat([1, 0], [n_one, n_zero]))
