"""Writes the files of this folder with the libraries that own the formats.

Recorded with numpy 2.4.6, safetensors 0.8.0 (its numpy and torch writers), torch 2.11.0. Needed again only when a file is
added: python3 record.py
"""

import gzip
import os
import zipfile

import numpy
import safetensors.numpy
import safetensors.torch
import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(HERE, name)


BASE = numpy.arange(-3, 3).reshape(2, 3)


def every_dtype():
    """-3 … 2 as 2x3, of unsigned types 0 … 5; complex numbers have half of it as imaginary part."""
    arrays = {}
    for kind in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"):
        values = BASE
        if kind[0] == "b":
            values = BASE % 2 == 0
        elif kind[0] == "u":
            values = BASE + 3
        elif kind[0] == "c":
            values = BASE + BASE * 0.5j
        arrays["little_" + kind] = values.astype("<" + kind)
        arrays["big_" + kind] = values.astype(">" + kind)
    return arrays


def npy_files():
    numpy.save(path("uint8.npy"), BASE.astype("u1"))
    numpy.save(path("fortran.npy"), numpy.asfortranarray(BASE.astype("f4")))
    for version in ((2, 0), (3, 0)):
        with open(path("version%d.npy" % version[0]), "wb") as out:
            numpy.lib.format.write_array(out, BASE.astype("i4"), version=version)


def npz_files():
    arrays = {"images": numpy.arange(24, dtype="u1").reshape(2, 3, 4), "labels": numpy.array([7, -1], "<i8"),
              "weights": numpy.linspace(0, 1, 5, dtype="f4")}
    numpy.savez(path("stored.npz"), **arrays)
    numpy.savez_compressed(path("deflated.npz"), zeros=numpy.zeros((100, 100), "f4"), **arrays)
    numpy.savez(path("every_dtype.npz"), scalar=numpy.array(2.5), empty=numpy.zeros((0, 3), "f4"), **every_dtype())
    numpy.savez_compressed(
        path("refused.npz"), object=numpy.array([{"a": 1}, None], dtype=object), unicode=numpy.array(["one", "three"]),
        bytes=numpy.array([b"one"]), structured=numpy.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
        date=numpy.array(["2024-01-01"], dtype="datetime64[D]"), longdouble=numpy.zeros(2, numpy.longdouble))
    # Another method, and a member that is no array.
    with zipfile.ZipFile(path("bzip2.npz"), "w", zipfile.ZIP_BZIP2) as out:
        out.write(path("uint8.npy"), "u1.npy")
    with zipfile.ZipFile(path("mixed.npz"), "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("readme.txt", "no array")
        out.write(path("uint8.npy"), "u1.npy")
        out.write(path("fortran.npy"), "fortran.npy", zipfile.ZIP_STORED)


def safetensors_files():
    values = torch.tensor([[-1.5, 0.0, 0.25], [1.0, 2.0, 3.0]])
    tensors = {}
    for name in ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2", "int8", "int16", "int32",
                 "int64", "bool"):
        tensors[name] = values.to(getattr(torch, name))
    for name in ("uint8", "uint16", "uint32", "uint64"):
        tensors[name] = values.abs().to(getattr(torch, name))
    tensors["complex64"] = torch.complex(values, -values)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["scalar"] = torch.tensor(2.5)
    safetensors.torch.save_file(tensors, path("every_dtype.safetensors"), metadata={"format": "pt", "note": "a \"b\""})


def idx_files():
    def idx(code, array):
        header = bytes([0, 0, code, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        return header + array.tobytes()

    images = numpy.arange(2 * 4 * 3, dtype="u1").reshape(2, 4, 3)
    with open(path("images-idx3-ubyte"), "wb") as out:
        out.write(idx(8, images))
    with open(path("images-idx3-ubyte.gz"), "wb") as out:
        out.write(gzip.compress(idx(8, images), mtime=0))
    with open(path("labels-idx1-ubyte"), "wb") as out:
        out.write(idx(8, numpy.array([5, 9], "u1")))
    for name, code in (("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)):
        with open(path("idx2_" + name), "wb") as out:
            out.write(idx(code, numpy.arange(-3, 3).reshape(2, 3).astype(">" + name)))


if __name__ == "__main__":
    npy_files()
    npz_files()
    safetensors_files()
    idx_files()
