"""The one table of data sets: a new set of a known format is a new row."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jgc.data import tu
from jgc.data.source import Source


class Spec(NamedTuple):
    """One data set.

    Attributes:
        name: What users type, lower case.
        reader: Format: "planetoid", "npz", "geom-gcn", "tu", "dgcnn", "moleculenet", "temporal",
            "snapshots", or one of the embedded sets, "sbm", "motif" and "temporal-sbm".
        task: "node" or "graph"; node sets can also be loaded as "link".
        split: The default split.
        about: One line for `jgc data list`.
        source: Its raw files; `None` for the embedded sets.
        options: Settings of the reader.
        kind: "class", "binary" or "value".
        metric: "accuracy", "roc_auc" or "mae".

    Example:
        >>> SPECS["cora"].reader, SPECS["cora"].task, SPECS["cora"].split
        ('planetoid', 'node', 'public')
    """

    name: str
    reader: str
    task: str
    split: str
    about: str
    source: Source | None = None
    options: Mapping[str, Any] = {}
    kind: str = "class"
    metric: str = "accuracy"


def planetoid(name: str, about: str) -> Spec:
    """A row of the Planetoid format."""
    parts = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    urls = (
        "https://github.com/kimiyoung/planetoid/raw/master/data/{file}",
        "https://github.com/tkipf/gcn/raw/master/gcn/data/{file}",
    )
    source = Source("planetoid", tuple(f"ind.{name}.{part}" for part in parts), urls=urls)
    return Spec(name, "planetoid", "node", "public", about, source, {"name": name})


def npz(name: str, file: str, about: str) -> Spec:
    """A row of the gnn-benchmark format."""
    url = "https://github.com/shchur/gnn-benchmark/raw/master/data/npz/{file}"
    source = Source("gnn-benchmark", (file,), urls=(url,))
    return Spec(name, "npz", "node", "random", about, source, {"file": file})


def tudataset(name: str, about: str, features: str | None = None, suffix: str = "") -> Spec:
    """A row of the TUDataset format; `name` is spelt as the files are."""
    source = Source(
        f"tudataset/{name}",
        tuple(f"{name}_{part}.txt" for part in tu.REQUIRED),
        tuple(f"{name}_{part}.txt" for part in tu.OPTIONAL),
        (f"https://www.chrsmrrs.com/graphkerneldatasets/{name}.zip",),
    )
    options = {"name": name, "features": features}
    return Spec(name.lower() + suffix, "tu", "graph", "kfold", about, source, options)


def dgcnn(name: str, about: str) -> Spec:
    """A row of the one-file format; `name` is spelt as the file is."""
    url = "https://github.com/yeweiysh/IHGNN/raw/master/data/{file}"
    source = Source(f"dgcnn/{name}", (f"{name}.zip",), urls=(url,))
    return Spec(f"{name.lower()}-dgcnn", "dgcnn", "graph", "kfold", about, source, {"name": name})


def moleculenet(
    name: str,
    file: str,
    about: str,
    targets: tuple[str, ...],
    *,
    smiles: str = "smiles",
    kind: str = "binary",
    split: str = "random",
    packed: bool = False,
    features: str = "one-hot",
) -> Spec:
    """A row of the MoleculeNet format; `packed`: the public file is gzipped."""
    url = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/{file}"
    source = Source("moleculenet", (file,), urls=(url + ".gz" if packed else url,))
    options = {"file": file, "smiles": smiles, "targets": targets, "kind": kind}
    options["features"] = features
    metric = {"value": "mae", "binary": "roc_auc", "class": "accuracy"}[kind]
    return Spec(name, "moleculenet", "graph", split, about, source, options, kind, metric)


def temporal(name: str, folder: str, file: str, url: str, about: str) -> Spec:
    """A row of the temporal edge lists; the task is which pairs will be linked."""
    source = Source(folder, (file,), urls=(url,))
    return Spec(name, "temporal", "node", "temporal", about, source, {"file": file}, "binary")


def snap(name: str, file: str, about: str) -> Spec:
    """A row of SNAP's temporal networks."""
    return temporal(name, "snap", file, "https://snap.stanford.edu/data/{file}.gz", about)


def network_repository(name: str, stem: str, about: str) -> Spec:
    """A row of the network repository's dynamic networks."""
    url = f"https://nrvis.com/download/data/dynamic/{stem}.zip"
    return temporal(name, "networkrepository", f"{stem}.edges", url, about)


def snapshots(name: str, file: str, about: str) -> Spec:
    """A row of STAR's data; all its sets are in one archive."""
    url = "https://www.dropbox.com/s/0h6b5p5uw63pjbb/STAR-Code-Data.zip?dl=1"
    source = Source("star", (file,), urls=(url,))
    return Spec(name, "snapshots", "node", "random-60", about, source, {"file": file})


_TOX21 = (
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
    "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
)  # fmt: skip
_ESOL = "measured log solubility in mols per litre"
_CHAMELEON = Source(
    "geom-gcn/chameleon",
    ("out1_graph_edges.txt", "out1_node_feature_label.txt"),
    urls=(
        "https://raw.githubusercontent.com/graphdml-uiuc-jlu/geom-gcn/master/new_data/chameleon/"
        "{file}",
    ),
)

_ROWS = (
    Spec("sbm", "sbm", "node", "public", "synthetic citation network of Cora's shape"),
    Spec("motif", "motif", "graph", "random", "synthetic: which motif hangs on a tree?"),
    Spec("temporal-sbm", "temporal-sbm", "node", "random-60", "synthetic: edges in time"),
    planetoid("cora", "citations, 2708 papers, 7 fields"),
    planetoid("citeseer", "citations, 3327 papers, 6 fields"),
    planetoid("pubmed", "citations, 19717 papers, 3 kinds of diabetes"),
    Spec("chameleon", "geom-gcn", "node", "geom-gcn", "Wikipedia links, 2277 pages", _CHAMELEON),
    npz("cora-npz", "cora.npz", "Cora in the gnn-benchmark layout"),
    npz("citeseer-npz", "citeseer.npz", "CiteSeer in the gnn-benchmark layout"),
    npz("pubmed-npz", "pubmed.npz", "PubMed in the gnn-benchmark layout"),
    npz("cora-full", "cora_full.npz", "citations, 19793 papers, 70 fields"),
    npz("amazon-photo", "amazon_electronics_photo.npz", "goods bought together, 8 kinds"),
    npz("amazon-computers", "amazon_electronics_computers.npz", "goods bought together, 10 kinds"),
    npz("coauthor-cs", "ms_academic_cs.npz", "co-authors, 15 fields"),
    npz("coauthor-physics", "ms_academic_phy.npz", "co-authors, 5 fields"),
    tudataset("PROTEINS", "enzyme or not, 1113 proteins", "labels"),
    tudataset(
        "PROTEINS",
        "proteins with the lengths of their pieces",
        "log-attributes+labels",
        "-lengths",
    ),
    tudataset(
        "PROTEINS",
        "proteins with lengths and degrees of their pieces",
        "log-attributes+labels+degree",
        "-degrees",
    ),
    tudataset("MUTAG", "mutagenic or not, 188 molecules", "labels"),
    tudataset("ENZYMES", "6 kinds of enzyme, 600 proteins", "attributes+labels"),
    tudataset("NCI1", "active against lung cancer, 4110 molecules", "labels"),
    tudataset("NCI109", "active against ovarian cancer, 4127 molecules", "labels"),
    tudataset("DD", "enzyme or not, 1178 large proteins", "labels"),
    tudataset("PTC_MR", "carcinogenic to rats, 344 molecules", "labels"),
    tudataset("Mutagenicity", "mutagenic or not, 4337 molecules", "labels"),
    tudataset("IMDB-BINARY", "genre of 1000 casts", "degree"),
    tudataset("IMDB-MULTI", "genre of 1500 casts, 3 genres", "degree"),
    tudataset("REDDIT-BINARY", "kind of 2000 discussions", "constant"),
    dgcnn("REDDIT-BINARY", "kind of 2000 discussions, in one file"),
    tudataset("REDDIT-MULTI-5K", "kind of 4999 discussions, 5 kinds", "constant"),
    tudataset("COLLAB", "field of 5000 groups of authors", "degree"),
    moleculenet("bbbp", "BBBP.csv", "crosses the blood-brain barrier", ("p_np",), split="scaffold"),
    moleculenet(
        "bbbp-pyg",
        "BBBP.csv",
        "bbbp as PyG has it: 9 and 3 whole numbers, 2 classes",
        ("p_np",),
        kind="class",
        features="codes",
    ),
    moleculenet("bace", "bace.csv", "inhibits BACE-1", ("Class",), smiles="mol", split="scaffold"),
    moleculenet("hiv", "HIV.csv", "inhibits HIV replication", ("HIV_active",), split="scaffold"),
    moleculenet("tox21", "tox21.csv", "12 assays of toxicity", _TOX21, packed=True),
    moleculenet(
        "clintox", "clintox.csv", "approved, toxic", ("FDA_APPROVED", "CT_TOX"), packed=True
    ),
    moleculenet("sider", "sider.csv", "27 kinds of side effect", (), packed=True),
    moleculenet("esol", "delaney-processed.csv", "log solubility in water", (_ESOL,), kind="value"),
    moleculenet("freesolv", "SAMPL.csv", "free energy of hydration", ("expt",), kind="value"),
    moleculenet("lipophilicity", "Lipophilicity.csv", "log D", ("exp",), kind="value"),
    snapshots("brain", "Brain.npz", "region of pieces of a brain by their activity in time"),
    snapshots("dblp3", "DBLP3.npz", "field of authors in time, 3 fields"),
    snapshots("dblp5", "DBLP5.npz", "field of authors in time, 5 fields"),
    snap("collegemsg", "CollegeMsg.txt", "who will write to whom, 1899 students"),
    snap("email-eu-core-temporal", "email-Eu-core-temporal.txt", "the same, 986 researchers"),
    snap("sx-mathoverflow", "sx-mathoverflow.txt", "who will answer whom, 24,818 users"),
    snap("wiki-talk", "wiki-talk-temporal.txt", "who will edit whose talk page, 1.1 million users"),
    snap("stackoverflow", "sx-stackoverflow.txt", "who will answer whom, 2.6 million users"),
    network_repository("radoslaw", "ia-radoslaw-email", "who will write to whom, 167 employees"),
    network_repository("enron-email", "ia-enron-email-dynamic", "the same, 87,273 addresses"),
)

SPECS: dict[str, Spec] = {row.name: row for row in _ROWS}
