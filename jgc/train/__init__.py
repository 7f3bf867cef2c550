"""Training: tasks, losses and metrics, and the loop as one compiled program over lanes."""

from jgc.train.checkpoint import Checkpoint as Checkpoint
from jgc.train.descent import Optimiser as Optimiser
from jgc.train.kfac import Kfac as Kfac
from jgc.train.loop import lane_program as lane_program
from jgc.train.losses import LOSSES as LOSSES
from jgc.train.losses import rising as rising
from jgc.train.method import Method as Method
from jgc.train.method import Phase as Phase
from jgc.train.method import is_straight_through as is_straight_through
from jgc.train.metrics import METRICS as METRICS
from jgc.train.metrics import larger_is_better as larger_is_better
from jgc.train.problem import Problem as Problem
from jgc.train.problem import Scores as Scores
from jgc.train.problem import check_metrics as check_metrics
from jgc.train.problem import problem as problem
from jgc.train.program import Trained as Trained
from jgc.train.program import lane as lane
from jgc.train.program import starts as starts
from jgc.train.program import train as train
from jgc.train.state import Best as Best
from jgc.train.state import Lane as Lane
from jgc.train.state import Model as Model
from jgc.train.state import Start as Start
from jgc.train.state import TrainState as TrainState
