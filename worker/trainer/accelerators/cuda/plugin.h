// The door to the CUDA accelerator, which lives in a shared library of its own so that a program
// without a GPU loads none of it.
#pragma once

#include <memory>
#include <string>

#include "worker/trainer/accelerators/accelerator.h"

namespace lctl {

// Name of the library; found beside the program, in ../lib/lctl, or where LCTL_CUDA_PLUGIN says.
inline constexpr char kCudaPlugin[] = "liblctl_cuda.so";

// What the library exports. Null with the reason written to `why` when no device can be used. The
// number in its name changes with Accelerator, so that a library of another build is not taken.
using MakeCudaAccelerator = Accelerator* (*)(char* why, unsigned long size);
inline constexpr char kMakeCudaAccelerator[] = "lctl_make_cuda_accelerator_2";

// Opens the library and asks it for the accelerator. Must be called before any tensor is touched:
// ATen looks its CUDA hooks up once. Null with `reason` set when there is no library, driver or
// device.
std::unique_ptr<Accelerator> open_cuda_plugin(std::string& reason);

}  // namespace lctl
