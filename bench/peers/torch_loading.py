"""The workloads of bench/dataloader with torch's DataLoader, as torchvision and webdataset load them.

usage: torch_loading.py WORKLOAD FOLDER WORKERS     prints microseconds a sample
"""

import io
import os
import random
import sys
import tarfile
import time

import numpy
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info


def decode(source):
    """torchvision's pil_loader and pil_to_tensor."""
    with Image.open(source) as image:
        return torch.from_numpy(numpy.array(image.convert("RGB"))).permute(2, 0, 1)


class Folder(Dataset):
    """torchvision's ImageFolder."""

    def __init__(self, root):
        classes = sorted(os.listdir(root))
        self.samples = [(os.path.join(root, each, name), number) for number, each in enumerate(classes)
                        for name in sorted(os.listdir(os.path.join(root, each)))]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, target = self.samples[index]
        with open(path, "rb") as stream:
            return decode(stream), target


class Shards(IterableDataset):
    """webdataset's pipeline: shards split over workers, a shuffle buffer, decoding."""

    def __init__(self, folder, buffer=1000):
        self.shards = sorted(os.path.join(folder, name) for name in os.listdir(folder))
        self.buffer = buffer

    def raw(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for shard in self.shards[first::step]:
            with tarfile.open(shard, "r|") as tar:
                image = None
                for member in tar:
                    content = tar.extractfile(member).read()
                    if member.name.endswith(".jpg"):
                        image = content
                    else:
                        yield image, content

    def __iter__(self):
        kept = []
        for sample in self.raw():
            kept.append(sample)
            if len(kept) > self.buffer:
                yield self.made(kept.pop(random.randrange(len(kept))))
        random.shuffle(kept)
        for sample in kept:
            yield self.made(sample)

    @staticmethod
    def made(sample):
        return decode(io.BytesIO(sample[0])), int(sample[1])


def main(workload, folder, workers):
    settings = {"num_workers": workers}
    if workers:
        settings["persistent_workers"] = True
    passes = 1
    if workload == "rows":
        passes = 2
        data = TensorDataset(torch.rand(40_000, 784), torch.arange(40_000))
        loader = DataLoader(data, batch_size=256, shuffle=True, **settings)
    elif workload == "shards":
        loader = DataLoader(Shards(os.path.join(folder, "shards")), batch_size=64, **settings)
    else:
        loader = DataLoader(Folder(os.path.join(folder, workload)), batch_size=64, shuffle=True, **settings)
    for _ in loader:  # starts the workers
        pass
    samples = 0
    start = time.perf_counter()
    for _ in range(passes):
        for batch in loader:
            samples += len(batch[0])
    print((time.perf_counter() - start) / samples * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
