"""Evaluation of finished runs: metrics, test-time augmentation, ensembles, soups and plots."""
