"""Writes expected.txt: what torchvision.transforms.v2.functional makes of a made-up image.

Run by hand with torch and torchvision. A line for each case: its name, the type, the shape, and the values in
hexadecimal (bytes of the contiguous tensor). functional_test.cc has the same names.
"""

import pathlib

import torch
import torchvision
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

torch.set_num_threads(1)
H, W = 11, 17


def image(channels=3, offset=0):
    """Laid out in memory as a decoded file is."""
    i = torch.arange(H * W * channels, dtype=torch.int64)
    return ((i * 37 + i * i * 3 + offset) % 251).to(torch.uint8).view(H, W, channels).permute(2, 0, 1)


u8 = image()
f32 = u8.float() / 255
modes = {
    "nearest": InterpolationMode.NEAREST,
    "nearest-exact": InterpolationMode.NEAREST_EXACT,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}
cases = {}
for name, mode in modes.items():
    for antialias in (True, False):
        tag = "aa" if antialias else "plain"
        cases[f"resize_{name}_{tag}_u8"] = F.resize(u8, [5, 6], interpolation=mode, antialias=antialias)
        cases[f"resize_{name}_{tag}_f32"] = F.resize(f32, [5, 6], interpolation=mode, antialias=antialias)
cases["resize_up_u8"] = F.resize(u8, [14, 20])
cases["resize_short_edge"] = F.resize(u8, [7])
cases["resize_max_size"] = F.resize(u8, [7], max_size=9)
cases["resize_only_max_size"] = F.resize(u8, None, max_size=9)
cases["resize_gray"] = F.resize(image(1), [5, 6])
cases["resize_batch"] = F.resize(torch.stack([image(), image(offset=9)]), [3, 4])
cases["resized_crop"] = F.resized_crop(u8, 2, 3, 7, 9, [4, 5])
cases["center_crop"] = F.center_crop(u8, [4, 6])
cases["center_crop_odd"] = F.center_crop(u8, [4, 8])
cases["center_crop_larger"] = F.center_crop(u8, [14, 6])
cases["hflip"] = F.horizontal_flip(u8)
cases["vflip"] = F.vertical_flip(u8)
for mode in ("constant", "edge", "reflect", "symmetric"):
    cases[f"pad_{mode}"] = F.pad(u8, [2, 1, 3, 4], fill=7, padding_mode=mode)
cases["pad_colors"] = F.pad(u8, [2, 1], fill=[1.0, 2.0, 3.0])
cases["grayscale"] = F.rgb_to_grayscale(u8)
cases["grayscale3"] = F.rgb_to_grayscale(u8, 3)
cases["grayscale_f32"] = F.rgb_to_grayscale(f32)
for name, function in [
    ("brightness", F.adjust_brightness),
    ("contrast", F.adjust_contrast),
    ("saturation", F.adjust_saturation),
]:
    cases[f"{name}_u8"] = function(u8, 1.3)
    cases[f"{name}_f32"] = function(f32, 0.6)
cases["hue_u8"] = F.adjust_hue(u8, 0.2)
cases["hue_f32"] = F.adjust_hue(f32, -0.35)
cases["blur_u8"] = F.gaussian_blur(u8, [5, 3], [0.8, 0.8])
cases["blur_f32"] = F.gaussian_blur(f32, [5, 3], [0.8, 0.8])
cases["rotate_nearest"] = F.rotate(u8, 30.0, fill=[9])
cases["rotate_bilinear"] = F.rotate(u8, -50.0, interpolation=InterpolationMode.BILINEAR, fill=[0])
cases["rotate_expand"] = F.rotate(u8, 20.0, expand=True, fill=[1.0, 2.0, 3.0])
cases["rotate_center"] = F.rotate(u8, 20.0, center=[3.0, 4.0], fill=[0])
cases["rotate_90"] = F.rotate(u8, 90.0, expand=True)
cases["affine"] = F.affine(
    u8, 15.0, [2, -1], 1.2, [5.0, -3.0], interpolation=InterpolationMode.BILINEAR, fill=[0]
)
cases["affine_f32"] = F.affine(f32, 15.0, [2, -1], 1.2, [5.0, -3.0], fill=[0.5])
cases["to_f32"] = F.to_dtype(u8, torch.float32, scale=True)
cases["to_f32_unscaled"] = F.to_dtype(u8, torch.float32)
cases["to_i16"] = F.to_dtype(u8, torch.int16, scale=True)
cases["f32_to_u8"] = F.to_dtype(f32, torch.uint8, scale=True)
cases["i16_to_u8"] = F.to_dtype(F.to_dtype(u8, torch.int16, scale=True), torch.uint8, scale=True)
cases["normalize"] = F.normalize(
    F.to_dtype(u8, torch.float32, scale=True), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
)
cases["to_tensor_normalize"] = F.normalize(
    u8.contiguous().to(torch.float32).div(255), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
)
cases["erase"] = F.erase(u8, 2, 3, 4, 5, torch.tensor([1.0, 2.0, 3.0])[:, None, None])

names = {torch.uint8: "uint8", torch.float32: "float32", torch.int16: "int16"}
with open(pathlib.Path(__file__).parent / "expected.txt", "w") as out:
    for name, value in cases.items():
        value = value.contiguous()
        shape = ",".join(map(str, value.shape))
        out.write(f"{name} {names[value.dtype]} {shape} {value.numpy().tobytes().hex()}\n")
print("torchvision", torchvision.__version__, "torch", torch.__version__, torch.backends.cpu.get_cpu_capability(), len(cases))
