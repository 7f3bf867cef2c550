"""Models: one architecture a file, all Linen modules called as `model(graph, layout, train=)`.

Adding one is a file and a row of `MODELS`.
"""

from jgc.models.gat import GAT as GAT
from jgc.models.gat import GATConv as GATConv
from jgc.models.gcn import GCN as GCN
from jgc.models.gcn import GCNConv as GCNConv
from jgc.models.gcn import GNNNet as GNNNet
from jgc.models.gcn import propagate as propagate
from jgc.models.gin import GIN as GIN
from jgc.models.gin import GINConv as GINConv
from jgc.models.gin_a2q import A2QGIN as A2QGIN
from jgc.models.gnae import GNAE as GNAE
from jgc.models.graph_conv import GraphConv as GraphConv
from jgc.models.heads import TASKS as TASKS
from jgc.models.heads import GraphModel as GraphModel
from jgc.models.heads import for_task as for_task
from jgc.models.heads import link_scores as link_scores
from jgc.models.hgp_sl import HGPSL as HGPSL
from jgc.models.layers import Site as Site
from jgc.models.mlp import MLP as MLP
from jgc.models.mpnn import MPNN as MPNN
from jgc.models.mpnn import NNConv as NNConv
from jgc.models.sage import GraphSAGE as GraphSAGE
from jgc.models.sage import SAGEConv as SAGEConv
from jgc.models.sparsemax import sparsemax as sparsemax
from jgc.models.spec import from_spec as from_spec
from jgc.models.spec import spec_of as spec_of
from jgc.models.spline import SplineCNN as SplineCNN
from jgc.models.spline import SplineConv as SplineConv
from jgc.models.ssp import SSP as SSP
from jgc.models.super_gat import SuperGAT as SuperGAT
from jgc.models.super_gat import SuperGATConv as SuperGATConv
from jgc.models.table import MODELS as MODELS
from jgc.models.table import named as named
from jgc.models.table import task_of as task_of
from jgc.models.walk_pool import WalkPool as WalkPool
