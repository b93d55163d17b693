"""The training losses: one value a sample and head, then the heads' weighted sum; each a file, chosen by `model.loss=`.

All take plain and mixed labels, and each equals plain cross-entropy in its neutral setting.
"""

from okkhor.models.losses.class_balanced import ClassBalanced
from okkhor.models.losses.cross_entropy import CrossEntropy
from okkhor.models.losses.focal import Focal
from okkhor.models.losses.ohem import OHEM
from okkhor.models.losses.weighted_sum import HeadsLoss

__all__ = ["OHEM", "ClassBalanced", "CrossEntropy", "Focal", "HeadsLoss"]
