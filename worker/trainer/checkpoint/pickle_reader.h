// The pickle subset of checkpoints to values. Nothing is executed: a GLOBAL is a name that is
// understood or refused.
#pragma once

#include <c10/core/ScalarType.h>
#include <c10/core/Storage.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// What is wrong with the bytes, and where.
class PickleError : public std::runtime_error {
 public:
  PickleError(const std::string& why, std::size_t at) : std::runtime_error(why), at_(at) {}
  std::size_t at() const { return at_; }  // byte in data.pkl

 private:
  std::size_t at_;
};

// Gives the storage of entry data/<key>, which must have exactly `bytes` bytes (else it throws).
// Asked once per key.
using StorageLoader = std::function<c10::Storage(const std::string& key, std::size_t bytes)>;

// Reads one value. Understood beyond plain data: OrderedDict (with `_metadata`), defaultdict and
// Counter (as dictionaries), set (as a list), torch.Size (as a tuple), torch.device and dtypes (as
// strings), tensors and parameters. Throws PickleError for anything else, for integers beyond 64
// bits, for tensors that reach outside their storage, for nesting deeper than 200 levels and for
// cycles. Pure apart from the loader; work is linear in the bytes.
Value unpickle(std::string_view bytes, const StorageLoader& load);

}  // namespace lctl::checkpoint
