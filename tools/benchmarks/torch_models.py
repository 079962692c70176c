"""Run the torchvision networks of tools/bench models, in a Python with torchvision.

torch_models.py THREADS reads lines and answers each with one line:
    make NAME BATCH SIZE        number of parameters
    build|train|predict STEPS   elapsed seconds, CPU seconds
"""

import gc
import sys
import time

import torch

try:
    import torchvision
except RuntimeError:  # torchvision was built for another torch; its own kernels are not needed
    library = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision


class Network:
    """Return a channels_last network of torchvision, and a batch of noise."""

    def __init__(self, name: str, batch: int, size: int):
        self.name = name
        self.images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
        self.labels = torch.arange(batch) % 10
        self.build()

    def build(self) -> None:
        network = getattr(torchvision.models, self.name)(weights=None)
        self.network = network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9)

    def train(self) -> None:
        if not self.network.training:
            self.network.train()
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.network(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        loss.item()

    @torch.inference_mode()
    def predict(self) -> None:
        if self.network.training:
            self.network.eval()
        self.network(self.images).sum().item()


def timed(run, steps: int) -> tuple[float, float]:
    wall = cpu = 0.0
    for _ in range(steps):
        gc.collect()
        start = time.perf_counter(), time.process_time()
        run()
        wall += time.perf_counter() - start[0]
        cpu += time.process_time() - start[1]
    return wall, cpu


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # as TensorFlow does
    print(torch.__version__, torchvision.__version__, flush=True)
    network = None
    for line in sys.stdin:
        what, *words = line.split()
        if what == "make":
            network = None
            network = Network(words[0], int(words[1]), int(words[2]))
            print(sum(p.numel() for p in network.network.parameters()), flush=True)
        else:
            print(*timed(getattr(network, what), int(words[0])), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
