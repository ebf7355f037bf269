"""Small data sets of every format, written with the standard library alone, and job files over them."""

import gzip
import io
import json
import os
import random
import struct
import tarfile
import zlib

CLASSES = 3
FEATURES = 12


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content)
    return path


def png(width, height, rgb):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[3 * width * y:3 * width * (y + 1)] for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def image(number, size=10):
    return png(size, size, random.Random(number).randbytes(3 * size * size))


def npy(descr, shape, content):
    header = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def safetensors(arrays):
    header, at = {}, 0
    for name, (dtype, shape, content) in arrays.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(content for _, _, content in arrays.values())


def idx(shape, content):
    return struct.pack(">I", 0x0800 + len(shape)) + b"".join(struct.pack(">I", size) for size in shape) + content


def features(count):
    numbers = random.Random(1)
    return struct.pack("<%df" % (count * FEATURES), *(numbers.uniform(-1, 1) for _ in range(count * FEATURES)))


def targets(count):
    return struct.pack("<%dq" % count, *(i % CLASSES for i in range(count)))


def shard(path, numbers):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            for ending, content in (("png", image(number)), ("cls", b"%d" % (number % CLASSES))):
                member = tarfile.TarInfo("%06d.%s" % (number, ending))
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def linear(inputs, outputs=10):
    return {"Linear": {"in_features": inputs, "out_features": outputs}}


AUGMENTED = [{"RandomCrop": {"size": 8}}, "RandomHorizontalFlip", {"ToDtype": {"dtype": "float32", "scale": True}}]
PLAIN = [{"CenterCrop": {"size": 8}}, {"ToDtype": {"dtype": "float32", "scale": True}}]
TRANSFORMS = {"train_transforms": AUGMENTED, "val_transforms": PLAIN}


class Format:
    """name, how its files are written into a folder, the data module over them, and a network that fits."""

    def __init__(self, name, make, module, init_args, layers):
        self.name, self.make, self.module, self.layers = name, make, module, layers
        self.init_args = init_args

    def job(self, **loading):
        return {
            "seed_everything": 1,
            "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 2, "log_every_n_steps": 1,
                        "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0,
                        "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "."}}},
            "model": {"class_path": "Classifier", "init_args": {"layers": self.layers}},
            "data": {"class_path": self.module, "init_args": {**self.init_args, "batch_size": 4, **loading}},
            "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.05}},
        }


def make_csv(folder):
    numbers = random.Random(2)
    lines = [",".join("f%d" % i for i in range(FEATURES)) + ",target"]
    lines += [",".join("%.3f" % numbers.uniform(-1, 1) for _ in range(FEATURES)) + ",%d" % (i % CLASSES)
              for i in range(30)]
    write(os.path.join(folder, "rows.csv.gz"), gzip.compress("\n".join(lines).encode()))


def make_npy(folder):
    write(os.path.join(folder, "x.npy"), npy("<f4", [30, FEATURES], features(30)))
    write(os.path.join(folder, "y.npy"), npy("<i8", [30], targets(30)))


def make_safetensors(folder):
    write(os.path.join(folder, "both.safetensors"), safetensors({
        "x": ("F32", [30, FEATURES], features(30)), "y": ("I64", [30], targets(30))}))


def make_mnist(folder):
    for part, count in (("train", 32), ("t10k", 8)):
        write(os.path.join(folder, part + "-images-idx3-ubyte"),
              idx([count, 28, 28], random.Random(3).randbytes(784 * count)))
        write(os.path.join(folder, part + "-labels-idx1-ubyte.gz"),
              gzip.compress(idx([count], bytes(i % CLASSES for i in range(count)))))


def make_cifar(folder):
    for name in ["data_batch_%d.bin" % i for i in range(1, 6)] + ["test_batch.bin"]:
        numbers = random.Random(name)
        write(os.path.join(folder, name),
              b"".join(bytes([i % CLASSES]) + numbers.randbytes(3072) for i in range(6)))


def make_images(folder):
    for number in range(30):
        write(os.path.join(folder, "images", "class%d" % (number % CLASSES), "%03d.png" % number), image(number))


def make_tokens(folder):
    numbers = random.Random(4)
    write(os.path.join(folder, "train.bin"), struct.pack("<400H", *(numbers.randrange(16) for _ in range(400))))


def make_shards(folder):
    for number in range(3):
        shard(os.path.join(folder, "train-%03d.tar" % number), range(10 * number, 10 * number + 10))


FORMATS = [
    Format("csv", make_csv, "CsvDataModule", {"path": "rows.csv.gz", "val_fraction": 0.1}, [linear(FEATURES)]),
    Format("npy", make_npy, "TensorDataModule", {"path": "x.npy", "target_path": "y.npy"}, [linear(FEATURES)]),
    Format("safetensors", make_safetensors, "TensorDataModule", {"path": "both.safetensors"}, [linear(FEATURES)]),
    Format("mnist", make_mnist, "MnistDataModule", {"data_dir": "."}, ["Flatten", linear(784)]),
    Format("cifar", make_cifar, "CifarDataModule", {"data_dir": ".", **TRANSFORMS}, ["Flatten", linear(192)]),
    Format("images", make_images, "ImageFolderDataModule", {"train": "images", **TRANSFORMS}, ["Flatten", linear(192)]),
    Format("tokens", make_tokens, "TokenDataModule", {"train": "train.bin", "block_size": 8, "vocab_size": 16},
           [{"Embedding": {"num_embeddings": 16, "embedding_dim": 4}}, linear(4, 16),
            {"Transpose": {"dim0": 1, "dim1": 2}}]),
    Format("shards", make_shards, "WebDataModule",
           {"train": "train-{000..002}.tar", "columns": ["png", "cls"], "shuffle_buffer": 8, **TRANSFORMS},
           ["Flatten", linear(192)]),
]
