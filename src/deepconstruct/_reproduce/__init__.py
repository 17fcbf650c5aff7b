"""The papers' figures, each in one command."""

from .report import Experiment as Experiment, reproduce as reproduce, settings_of as settings_of
from .table import EXPERIMENTS as EXPERIMENTS
