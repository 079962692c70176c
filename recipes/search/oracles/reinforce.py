"""Neural architecture search with reinforcement learning (Zoph & Le 2017,
https://arxiv.org/abs/1611.01578), over any space.

A controller, which is a recurrent network, chooses the values of a trial one after the other. The
input of each step is the choice before, so that a choice can depend on all earlier ones. When a
trial ends, REINFORCE makes its choices more likely if its reward is above an exponential moving
average of earlier rewards, and otherwise less likely.

What differs from the paper: the controller has one LSTM layer of 35 units instead of two. The
learning rate of Adam is higher, because a search has tens of trials rather than thousands. A reward
is the rank of a score among the trials so far, from 0 to 1, so that any metric works; that of a
failed trial is 0. The controller is updated after each trial. A number of a range is chosen as one
of six parts of the range, and at random within that part.
"""

import zlib
from random import Random
from typing import Any, NamedTuple

import numpy as np

from recipes.search.oracles import draws
from recipes.search.spaces.space import Space

UNITS = 35
PARTS = 6  # into which ranges are divided
BASELINE = 0.9  # decay of the moving average of rewards
INITIAL = 0.08  # parameters are at first uniformly random between -INITIAL and INITIAL
BETAS = 0.9, 0.999  # of Adam


class Choice(NamedTuple):
    """A choice: the axis (draws.axis_key), its number of choices, and which one was chosen."""

    axis: str
    number: int
    which: int


class Step(NamedTuple):
    """What one step of the LSTM computed: inputs, gates, new state, output, and probabilities."""

    x: np.ndarray
    h: np.ndarray
    c: np.ndarray
    gates: np.ndarray
    new: np.ndarray
    out: np.ndarray
    p: np.ndarray


class Controller:
    """An LSTM that chooses values, and learns with REINFORCE and Adam.

    Args:
        seed: seed of the initial parameters.
        rate: learning rate.
    """

    def __init__(self, seed: int, rate: float):
        self.seed, self.rate, self.updates = seed, rate, 0
        self.parameters: dict[str, np.ndarray] = {}
        self.moments: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.baseline = 0.5

    def step(self, axis: str, number: int, last: Choice | None, before: Step | None) -> Step:
        """Compute the probabilities of the choices of an axis, after the last choice and step."""
        zeros = np.zeros(UNITS)
        h, c = (zeros, zeros) if before is None else (before.out, before.new)
        x = zeros if last is None else self._parameter(f"in {last.axis}", last.number)[last.which]
        z = self._parameter("lstm", 4 * UNITS, 2 * UNITS + 1) @ np.concatenate([x, h, [1.0]])
        gates = z.reshape(4, UNITS)  # input, forget, output, and the candidate
        gates = np.concatenate([1 / (1 + np.exp(-gates[:3])), np.tanh(gates[3:])])
        new = gates[1] * c + gates[0] * gates[3]
        out = gates[2] * np.tanh(new)
        logits = self._parameter(f"out {axis}", number, UNITS + 1) @ np.append(out, 1.0)
        p = np.exp(logits - logits.max())
        return Step(x, h, c, gates, new, out, p / p.sum())

    def _parameter(self, name: str, rows: int, columns: int = UNITS) -> np.ndarray:
        """Return a parameter, whose initial values depend on nothing but its name and the seed."""
        if name not in self.parameters:
            rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
            self.parameters[name] = rng.uniform(-INITIAL, INITIAL, (rows, columns))
        return self.parameters[name]

    def learn(self, choices: list[Choice], reward: float) -> None:
        """Make choices more likely if their reward is above the baseline, else less likely."""
        advantage = reward - self.baseline
        self.baseline = BASELINE * self.baseline + (1 - BASELINE) * reward
        self._ascend({n: advantage * value for n, value in self.gradients(choices).items()})

    def gradients(self, choices: list[Choice]) -> dict[str, np.ndarray]:
        """Return the gradient of the logarithm of the probability of choices."""
        steps: list[Step] = []
        for at, choice in enumerate(choices):
            last = choices[at - 1] if at else None
            steps.append(self.step(choice.axis, choice.number, last, steps[-1] if at else None))
        found = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        dh, dc = np.zeros(UNITS), np.zeros(UNITS)
        for at in reversed(range(len(choices))):
            choice, step = choices[at], steps[at]
            head = f"out {choice.axis}"
            dlogits = (np.arange(choice.number) == choice.which) - step.p
            found[head] += np.outer(dlogits, np.append(step.out, 1.0))
            dh = dh + dlogits @ self.parameters[head][:, :UNITS]
            i, f, o, g = step.gates
            t = np.tanh(step.new)
            dc = dc + dh * o * (1 - t * t)
            of_gates = [dc * g * i * (1 - i), dc * step.c * f * (1 - f), dh * t * o * (1 - o)]
            dz = np.concatenate([*of_gates, dc * i * (1 - g * g)])
            found["lstm"] += np.outer(dz, np.concatenate([step.x, step.h, [1.0]]))
            dx, dh, _ = np.split(dz @ self.parameters["lstm"], [UNITS, 2 * UNITS])
            dc = dc * f
            if at:
                found[f"in {choices[at - 1].axis}"][choices[at - 1].which] += dx
        return found

    def _ascend(self, gradients: dict[str, np.ndarray]) -> None:
        """Update the parameters with Adam."""
        self.updates += 1
        b1, b2 = BETAS
        rate = self.rate * (1 - b2**self.updates) ** 0.5 / (1 - b1**self.updates)
        for name, gradient in gradients.items():
            first, second = self.moments.get(name, (np.zeros(()), np.zeros(())))
            first, second = b1 * first + (1 - b1) * gradient, b2 * second + (1 - b2) * gradient**2
            self.moments[name] = first, second
            self.parameters[name] += rate * first / (second**0.5 + 1e-8)


class ReinforceOracle(draws.Proposing):
    """A controller that learns from the ended trials which values to choose.

    Args:
        space: the space.
        max_trials: largest number of trials. The learning rate is 1 divided by it, but at least the
            0.0006 of the paper and at most 0.1.
        settings: arguments of keras_tuner.Oracle.
    """

    def __init__(self, space: Space, max_trials: int, **settings: Any):
        super().__init__(space, max_trials=max_trials, **settings)
        self.rate = min(max(6e-4, 1 / max_trials), 0.1)
        self._learned: list[str] = []  # the trials from which the controller has learned

    def controller(self) -> Controller:
        """Return the controller that has learned from all ended trials in their order."""
        if not self._learned or self._learned != self.end_order[: len(self._learned)]:
            self._learned, self._controller = [], Controller(self.seed, self.rate)
        ended = self.ended()
        for number in range(len(self._learned), len(ended)):
            values, score = ended[number]
            scores = [other for _, other in ended[: number + 1] if other is not None]
            self._controller.learn(self._choices(values), _rank(score, scores))
        self._learned = [*self.end_order]
        return self._controller

    def _choices(self, values: dict[str, Any]) -> list[Choice]:
        """Return the choices that lead to the values of a trial."""
        found = []
        for hp in draws.active(self.searched, values):
            number = _number(hp)
            index = int(draws.position(hp, values[hp.name]) * number)
            found.append(Choice(draws.axis_key(hp), number, min(max(index, 0), number - 1)))
        return found

    def propose(self, number: int, rng: Random) -> dict[str, Any]:
        """Return values that the controller chooses."""
        controller = self.controller()
        last, step = None, None

        def choose(hp: Any) -> Any:
            nonlocal last, step
            axis, number = draws.axis_key(hp), _number(hp)
            step = controller.step(axis, number, last, step)
            index = min(int(np.searchsorted(np.cumsum(step.p), rng.random())), number - 1)
            last = Choice(axis, number, index)
            return draws.value_at(hp, (index + rng.random()) / number)

        return draws.draw(self.searched, choose)


def _number(hp: Any) -> int:
    """Return the number of choices that a hyperparameter has."""
    number = draws.count(hp) or PARTS
    return min(number, PARTS) if draws.is_range(hp) else number


def _rank(score: float | None, scores: list[float]) -> float:
    """Return the part of the scores that are lower, counting half of equal ones; 0 for None."""
    if score is None:
        return 0.0
    return sum((other < score) + (other == score) / 2 for other in scores) / len(scores)
