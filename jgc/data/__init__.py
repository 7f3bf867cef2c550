"""Public data sets in their raw formats, splits, and two embedded synthetic sets.

Files are looked for in the folder given, in `JGC_DATA_DIR`, in the user's cache, and downloaded
with a SHA-256 last. Importing this room needs neither the network nor rdkit.
"""

from jgc.data.atom_codes import coded_graph as coded_graph
from jgc.data.block_model import sbm as sbm
from jgc.data.dataset import DataError as DataError
from jgc.data.dataset import Dataset as Dataset
from jgc.data.dataset import LinkSplit as LinkSplit
from jgc.data.dataset import Split as Split
from jgc.data.dataset import TemporalEdges as TemporalEdges
from jgc.data.embedded import node_rows as node_rows
from jgc.data.embedded import node_vectors as node_vectors
from jgc.data.embedded import pair_rows as pair_rows
from jgc.data.enclosing import enclosing_graphs as enclosing_graphs
from jgc.data.links import link_split as link_split
from jgc.data.links import sample_negatives as sample_negatives
from jgc.data.links import training_graph as training_graph
from jgc.data.links import training_parts as training_parts
from jgc.data.loader import info as info
from jgc.data.loader import load as load
from jgc.data.loader import names as names
from jgc.data.molecule import molecule_graph as molecule_graph
from jgc.data.motifs import motif as motif
from jgc.data.scaffold import scaffold_split as scaffold_split
from jgc.data.snapshots import read_snapshots as read_snapshots
from jgc.data.splits import class_split as class_split
from jgc.data.splits import last_split as last_split
from jgc.data.splits import random_split as random_split
from jgc.data.splits import stratified_folds as stratified_folds
from jgc.data.table import SPECS as SPECS
from jgc.data.table import Spec as Spec
from jgc.data.temporal import read_temporal as read_temporal
from jgc.data.temporal import temporal_edges as temporal_edges
from jgc.data.temporal_block_model import temporal_sbm as temporal_sbm
