"""Train in real processes, inject faults, restart, and compare the results with undisturbed runs.

`python -m tests.faults --faults=200 --seed=1` injects random faults and prints a table.
"""
