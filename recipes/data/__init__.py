"""Open data sets by name, and make batches of images and labels."""

from recipes.data.batches import evaluation_batches, open_data, open_for, training_batches
from recipes.data.types import Data, Split

__all__ = ["Data", "Split", "evaluation_batches", "open_data", "open_for", "training_batches"]
