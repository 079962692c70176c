"""Searches with a made-up score in the place of a training."""

import keras_tuner as kt

import recipes
from recipes.search.oracles import make
from recipes.search.spaces.axes import SpaceOf, parse
from recipes.search.spaces.space import Space

BASE = recipes.Recipe(model="resnet20", data="digits", epochs=20, select="best")


class Run:
    """A search whose trials have the score of a function, or fail where it is None.

    Args:
        space: axes as text, or a function.
        score: function from the values of a trial to its score.
        path: directory of the search.
        by: metric of the scores.
        settings: further arguments of make_oracle.
    """

    def __init__(self, space, score, path, tuner="random", by="val_accuracy", **settings):
        base = recipes.replace(BASE, select_by=by)
        function = SpaceOf(base, parse(space)) if isinstance(space, str) else space
        self.space, self.score, self.path = Space(base, function), score, path
        self.made = {"tuner": tuner, "by": by, "seed": 0, "epochs": 20, "trials": None, **settings}
        self.lines = []
        self.oracle = None
        self.open()

    def open(self):
        """Create the oracle, or write and read it as if the search had been killed."""
        if self.oracle is not None:
            kt.Oracle.save(self.oracle)
            for trial in self.oracle.trials.values():
                kt.Oracle._save_trial(self.oracle, trial)
        hp = kt.HyperParameters()
        self.space.function(hp)
        self.oracle = make.make_oracle(
            hp=hp, space=self.space, announce=self.lines.append, **self.made
        )
        make.without_repeats(self.oracle, self.space.key)
        make.reload(self.oracle, self.path / "oracle")
        self.oracle.save = self.oracle._save_trial = lambda *ignored: None  # which saves time

    def start(self, worker="one"):
        """Return the next trial of a worker."""
        trial = self.oracle.create_trial(worker)
        if trial.status == "RUNNING":
            self.space.recipe(trial.hyperparameters)
            self.oracle.update_space(trial.hyperparameters)
        return trial

    def end(self, trial):
        """End a trial with its score."""
        score = self.score(self.space.active(trial.hyperparameters.values))
        trial.status = "FAILED" if score is None else "COMPLETED"
        if score is not None:
            self.oracle.update_trial(trial.trial_id, {self.made["by"]: score})
        self.oracle.end_trial(trial)

    def finish(self, trials=10**6):
        """Run trials one after the other until the search ends, or a number of them."""
        for _ in range(trials):
            trial = self.start()
            if trial.status != "RUNNING":
                break
            self.end(trial)
        return self

    @property
    def values(self):
        """The active values of all trials."""
        trials = map(self.oracle.trials.__getitem__, self.oracle.start_order)
        return [self.space.active(trial.hyperparameters.values) for trial in trials]

    @property
    def scores(self):
        return [self.score(values) for values in self.values]
