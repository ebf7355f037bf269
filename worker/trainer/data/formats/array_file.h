// Files that hold arrays by name.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace lctl {

// An open file; its tensors may outlive it. Thread rule: immutable; get() from any thread.
class ArrayFile {
 public:
  virtual ~ArrayFile() = default;

  // In the order of the file. One array without a name (.npy, IDX): { "" }.
  virtual std::vector<std::string> names() const = 0;

  // Throws BadSample for data that is wrong, and for a name that is not there: it says which are,
  // and which may have been meant.
  virtual at::Tensor get(std::string_view name) const = 0;
};

// Throws that BadSample.
[[noreturn]] void throw_no_such_array(const std::string& file, std::string_view name,
                                      const std::vector<std::string>& names);

}  // namespace lctl
