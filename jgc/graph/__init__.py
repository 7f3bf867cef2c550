"""Graphs: building, padding, batching, and aggregation over edges. The only room that knows jraph.

`GraphsTuple` is jraph's: nodes and edges of a batch of graphs in flat arrays. Edges run from
`senders` to `receivers`; messages are summed at receivers.
"""

from jgc.graph.aggregate import aggregate as aggregate
from jgc.graph.aggregate import edge_softmax as edge_softmax
from jgc.graph.aggregate import edge_softmax_with_self as edge_softmax_with_self
from jgc.graph.aggregate import pool as pool
from jgc.graph.batch import Buckets as Buckets
from jgc.graph.batch import batch as batch
from jgc.graph.batch import bucket as bucket
from jgc.graph.batch import pad as pad
from jgc.graph.build import from_edges as from_edges
from jgc.graph.build import from_networkx as from_networkx
from jgc.graph.build import from_pyg as from_pyg
from jgc.graph.build import from_scipy as from_scipy
from jgc.graph.choice import BackendChoice as BackendChoice
from jgc.graph.codes import Codes as Codes
from jgc.graph.codes import Floats as Floats
from jgc.graph.codes import Pending as Pending
from jgc.graph.codes import as_operand as as_operand
from jgc.graph.codes import on_grid as on_grid
from jgc.graph.codes import on_row_grids as on_row_grids
from jgc.graph.codes import relu as relu
from jgc.graph.collection import Budget as Budget
from jgc.graph.collection import Collection as Collection
from jgc.graph.collection import collection as collection
from jgc.graph.collection import draw as draw
from jgc.graph.collection import pack as pack
from jgc.graph.edges import add_self_loops as add_self_loops
from jgc.graph.edges import coalesce as coalesce
from jgc.graph.edges import drop_edges as drop_edges
from jgc.graph.edges import in_degree as in_degree
from jgc.graph.edges import normalised_weights as normalised_weights
from jgc.graph.edges import out_degree as out_degree
from jgc.graph.edges import remove_self_loops as remove_self_loops
from jgc.graph.features import SparseRows as SparseRows
from jgc.graph.features import repeat_rows as repeat_rows
from jgc.graph.features import sparse_rows as sparse_rows
from jgc.graph.graphs_tuple import GraphsTuple as GraphsTuple
from jgc.graph.integer import ByteWeights as ByteWeights
from jgc.graph.integer import byte_weights as byte_weights
from jgc.graph.layout import Layout as Layout
from jgc.graph.layout import edge_mask as edge_mask
from jgc.graph.layout import explain_backend as explain_backend
from jgc.graph.layout import graph_mask as graph_mask
from jgc.graph.layout import layout as layout
from jgc.graph.layout import node_mask as node_mask
from jgc.graph.product import at_cols as at_cols
from jgc.graph.product import at_rows as at_rows
from jgc.graph.product import edge_sum as edge_sum
from jgc.graph.product import product as product
from jgc.graph.random import dropout as dropout
from jgc.graph.random import hash_bits as hash_bits
from jgc.graph.right_product import right_product as right_product
from jgc.graph.skip_gram import SkipGram as SkipGram
from jgc.graph.skip_gram import skip_gram as skip_gram
from jgc.graph.structure import Structure as Structure
from jgc.graph.structure import structure as structure
from jgc.graph.top import Selection as Selection
from jgc.graph.top import top_nodes as top_nodes
from jgc.graph.walk import WalkIndex as WalkIndex
from jgc.graph.walk import random_walks as random_walks
from jgc.graph.walk import walk_index as walk_index
