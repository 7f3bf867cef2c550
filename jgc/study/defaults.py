"""How models are built and trained where a recipe says nothing."""

from jgc.study.recipe import Settings

# What every recipe of the literature agrees on; a row for a model comes over the one for its task.
DEFAULTS: dict[tuple[str, str], Settings] = {
    ("node", ""): Settings(hidden=64, epochs=200, learning_rate=0.01, weight_decay=5e-4),
    ("node", "gat"): Settings(hidden=8, epochs=300, learning_rate=0.005, dropout=0.6),
    # PyG's examples/super_gat.py.
    ("node", "supergat"): Settings(hidden=8, epochs=300, learning_rate=0.005, dropout=0.6),
    # PyG's examples/cora.py has a weight decay of 5e-3 on raw words; here each row sums to 1, and
    # weights some 18 times as large take the task's 5e-4.
    ("node", "splinecnn"): Settings(hidden=16),
    # The authors' code, and that of the powers it tries (1 to 10) which is best on Cora's
    # validation part.
    ("node", "ssp"): Settings(hidden=16, input_dropout=0.0, kfac_damping=0.01, guess_power=3.0),
    ("link", ""): Settings(
        hidden=32, dropout=0.0, epochs=200, learning_rate=0.01, weight_decay=0.0
    ),
    ("link", "gat"): Settings(hidden=8, heads=4, learning_rate=0.005),
    ("link", "supergat"): Settings(hidden=8, heads=4, learning_rate=0.005),
    ("link", "ness"): Settings(dropout=0.2, parts=4),
    ("graph", ""): Settings(
        hidden=64, epochs=100, learning_rate=0.01, weight_decay=0.0, batch_size=32, readout="sum"
    ),
    # ProtGNN's Configures.py. Differs: its code leaves the dropout out before a head of one map.
    ("graph", "gnnnet"): Settings(
        hidden=128, learning_rate=0.005, batch_size=24, readout="max", head_layers=1
    ),
    ("graph", "gin-a2q"): Settings(batch_size=128, readout="mean", head_dropout=0.0),
    ("graph", "supergat"): Settings(heads=2),
    # The authors' batches; their rate is 5e-5, for 50 epochs.
    ("graph", "walkpool"): Settings(hidden=32, epochs=30, learning_rate=0.001),
    # The authors' rates. Their batches of 512 graphs make two steps an epoch, ours 26: validation
    # has settled long before epoch 50.
    ("graph", "hgp-sl"): Settings(
        hidden=128, epochs=50, learning_rate=0.001, weight_decay=0.001, dropout=0.5
    ),
    # Rows come over "node": pairs of vectors of arXiv 2209.04766, vectors of nodes
    ("pairs", ""): Settings(
        epochs=20, batch_size=1024, rule="sgd", learning_rate=0.05, rate_decay=0.98,
        weight_decay=0.0,
    ),
    ("pairs", "mlp"): Settings(hidden=128, layers=2, dropout=0.0),
    ("vectors", ""): Settings(
        epochs=20, batch_size=512, learning_rate=0.004, rate_decay=0.99, weight_decay=0.001
    ),
    # Differs: the authors drop and cut off at 0 after the last map too, so that no logit is below.
    ("vectors", "mlp"): Settings(hidden=256, layers=3, narrowing=2, bias=False, dropout=0.1),
}  # fmt: skip
