"""gensim's side: word2vec over the same walks, with the same settings and threads."""

import importlib

import numpy as np

from jgc.bench import inputs
from jgc.bench.run import threads
from jgc.bench.work import Work, repeated


def vectors(width: int, steps: int) -> Work:
    """A pass of training alone; words are counted before."""
    models = importlib.import_module("gensim.models")  # No dependency: only where it is installed.
    walks = inputs.walks(steps)
    words = [list(map(str, walk[walk >= 0])) for walk in walks]
    model = models.Word2Vec(
        vector_size=width, window=10, negative=5, sg=1, sample=0, min_count=0, workers=threads()
    )
    model.build_vocab(words)

    def run():
        model.train(words, total_examples=len(words), epochs=1)

    return repeated(run, words=int(np.sum(walks >= 0)))


MEASURES = {
    "gensim-skip-gram-8": lambda: vectors(8, 5),
    "gensim-skip-gram-64": lambda: vectors(64, 50),
}
