"""Run the torchvision pipelines of tools/bench data, in a Python with torchvision.

torch_data.py FOLDER prints the versions of torch and torchvision, then reads lines "PIPELINE
IMAGES" and answers each with the CPU seconds and the elapsed seconds.
"""

import importlib.metadata
import resource
import sys
import time
from pathlib import Path

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # torchvision was built for another torch; its own kernels are not needed
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from PIL import Image
from torchvision import transforms

SIZE, BATCH, WORKERS = 224, 50, 2
CROP = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
END = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
PIPELINES = {
    "plain": [*CROP, *END],
    "jitter": [*CROP, transforms.ColorJitter(0.4, 0.4, 0.4, 0.1), *END],
    "rand": [*CROP, transforms.RandAugment(), *END],
}


class Photos(torch.utils.data.Dataset):
    def __init__(self, folder: str, transform, count: int):
        self.paths = sorted(Path(folder).iterdir())
        self.transform, self.count = transform, count

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        with Image.open(self.paths[number % len(self.paths)]) as image:
            return self.transform(image.convert("RGB"))


def cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def main(folder: str) -> None:
    torch.set_num_threads(1)
    print(torch.__version__, importlib.metadata.version("torchvision"), flush=True)
    for line in sys.stdin:
        key, count = line.split()
        photos = Photos(folder, transforms.Compose(PIPELINES[key]), int(count))
        started = cpu(), time.perf_counter()
        for _ in torch.utils.data.DataLoader(photos, BATCH, num_workers=WORKERS):
            pass
        print(cpu() - started[0], time.perf_counter() - started[1], flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
