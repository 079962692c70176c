"""Many small trainings in one process with one compiled training step."""
