// The small image data sets that everybody knows, from the files that their authors publish.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace lctl {

// Images lie over the mapped file where it is one, so reading them from several processes costs
// memory once; copies are made by whoever makes a batch (TensorDataset).
struct LabelledImages {
  at::Tensor images;         // uint8: MNIST [n, 28, 28], CIFAR [n, 3, 32, 32], red, green, blue
  at::Tensor labels;         // int64 [n]
  at::Tensor coarse_labels;  // int64 [n], the 20 superclasses of CIFAR-100; undefined elsewhere
};

// All throw BadSample for damaged files, with file and record, and std::runtime_error for files
// that cannot be read. Any thread.

// MNIST, Fashion-MNIST, KMNIST: IDX files, plain or .gz, of the same length.
LabelledImages load_mnist(const std::string& images_path, const std::string& labels_path);

// CIFAR-10's binary version: data_batch_1.bin … data_batch_5.bin, or test_batch.bin.
LabelledImages load_cifar10(const std::vector<std::string>& paths);

// CIFAR-100's: train.bin or test.bin. `labels` are the 100 fine ones.
LabelledImages load_cifar100(const std::string& path);

}  // namespace lctl
