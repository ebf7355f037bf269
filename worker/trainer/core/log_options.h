// self.log: its options, and where its values go.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace lctl {

enum class Reduction : std::uint8_t { kMean, kMin, kMax, kSum };

// The arguments of Lightning's self.log with its defaults. Unset on_step / on_epoch take the
// default of the hook in which the call happens.
struct LogOptions {
  bool prog_bar = false;
  std::optional<bool> logger;  // unset = true, but without the warning when there is no logger
  std::optional<bool> on_step;
  std::optional<bool> on_epoch;
  Reduction reduce_fx = Reduction::kMean;
  bool enable_graph = false;
  bool sync_dist = false;
  bool add_dataloader_idx = true;
  std::optional<std::int64_t> batch_size;  // unset: inferred from the batch
  bool rank_zero_only = false;
};

// One value of log_dict: a tensor of one element or a number.
struct LogValue {
  LogValue(at::Tensor value) : held(std::move(value)) {}  // NOLINT: {"loss", loss}
  template <typename Number, typename = std::enable_if_t<std::is_arithmetic_v<Number>>>
  LogValue(Number value) : held(static_cast<double>(value)) {}  // NOLINT: {"lr", 0.1}

  std::variant<at::Tensor, double> held;
};

// Receives what modules and callbacks log. The trainer is the one implementation.
// Thread rule: one strand only (the training thread).
class LogSink {
 public:
  virtual ~LogSink() = default;

  // The tensor must have one element; it is copied before the call returns. No device is waited
  // for.
  virtual void log(std::string_view name, const at::Tensor& value, const LogOptions& options) = 0;

  // A plain number: becomes a tensor of the default dtype, as in Python.
  virtual void log(std::string_view name, double value, const LogOptions& options) = 0;
};

}  // namespace lctl
