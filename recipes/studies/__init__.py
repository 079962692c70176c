"""The claims of the lectures as experiments, one study per file; `recipes study list`."""
