"""Train on several devices of one machine, or on several hosts."""
