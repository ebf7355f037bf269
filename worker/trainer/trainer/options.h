// The arguments of Lightning's Trainer, typed and with their defaults. Where Lightning tells an
// unset argument from a given one, so does this: std::optional, empty = not given.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace lctl {

class Callback;
class Logger;
class Profiler;

// An int counts batches, a float is a fraction: 1 and 1.0 mean different things.
using Limit = std::variant<std::int64_t, double>;

inline bool is_zero(const Limit& limit) {
  return std::visit([](auto value) { return value == 0; }, limit);
}

// An argument with a default that Lightning treats differently when it was given: it reads as its
// value, and every assignment counts as giving it. Immutable between assignments.
template <typename T>
class Argument {
 public:
  static Argument unset(T value) {
    Argument argument(std::move(value));
    argument.given_ = false;
    return argument;
  }
  template <typename U>
    requires(std::convertible_to<U, T> && !std::same_as<std::remove_cvref_t<U>, Argument>)
  Argument(U&& value) : value_(std::forward<U>(value)) {}  // NOLINT: .limit_val_batches = 0.5

  operator const T&() const { return value_; }  // NOLINT: reads as its value
  const T& value() const { return value_; }
  bool given() const { return given_; }
  // Another value in its place, which nobody gave.
  void settle(T value) {
    value_ = std::move(value);
    given_ = false;
  }

  template <typename U>
  friend bool operator==(const Argument& argument, const U& value) {
    return argument.value_ == value;
  }

 private:
  T value_;
  bool given_ = true;
};

enum class Determinism : std::uint8_t { kUntouched, kOff, kOn, kWarn };

// Trainer's `logger`: true is Lightning's default, false none; else one logger, or several.
struct LoggerArgument {
  LoggerArgument() = default;                                // not given: as true
  LoggerArgument(bool on) : use_default(on), given(true) {}  // NOLINT: .logger = false
  template <typename T>
  LoggerArgument(std::shared_ptr<T> logger)  // NOLINT: .logger = csv_logger
      : use_default(false), given(true), loggers{std::move(logger)} {}
  LoggerArgument(std::initializer_list<std::shared_ptr<Logger>> several)  // NOLINT
      : use_default(false), given(true), loggers(several) {}
  LoggerArgument(std::vector<std::shared_ptr<Logger>> several)  // NOLINT
      : use_default(false), given(true), loggers(std::move(several)) {}

  bool use_default = true;
  bool given = false;
  std::vector<std::shared_ptr<Logger>> loggers;
};

// Trainer's `profiler`: none, Lightning's name of one ("simple", "advanced", "pytorch"), or one.
struct ProfilerArgument {
  ProfilerArgument() = default;
  ProfilerArgument(std::string known) : name(std::move(known)) {}  // NOLINT: .profiler = "simple"
  ProfilerArgument(const char* known) : name(known) {}             // NOLINT
  template <typename T>
  ProfilerArgument(std::shared_ptr<T> own)  // NOLINT: .profiler = my_profiler
      : profiler(std::move(own)) {}

  bool given() const { return !name.empty() || profiler != nullptr; }

  std::string name;
  std::shared_ptr<Profiler> profiler;
};

struct TrainerOptions {
  std::string accelerator = "auto";
  std::string strategy = "auto";
  // "auto", a count, or explicit device ids.
  std::variant<std::monostate, std::int64_t, std::vector<std::int64_t>> devices;
  std::int64_t num_nodes = 1;
  std::string precision = "32-true";  // canonical spelling
  // Only for programs of one's own: a job file's are made by factory/.
  LoggerArgument logger;
  std::vector<std::shared_ptr<Callback>> callbacks;
  std::int64_t fast_dev_run = 0;  // batches; 0 = off
  std::optional<std::int64_t> max_epochs;
  std::optional<std::int64_t> min_epochs;
  std::int64_t max_steps = -1;
  std::optional<std::int64_t> min_steps;
  std::optional<double> max_time;  // seconds
  Argument<Limit> limit_train_batches = Argument<Limit>::unset(1.0);
  Argument<Limit> limit_val_batches = Argument<Limit>::unset(1.0);
  Argument<Limit> limit_test_batches = Argument<Limit>::unset(1.0);
  Argument<Limit> limit_predict_batches = Argument<Limit>::unset(1.0);
  Argument<Limit> overfit_batches = Argument<Limit>::unset(0.0);
  Argument<Limit> val_check_interval = Argument<Limit>::unset(1.0);
  std::optional<double> val_check_time;  // seconds, instead of val_check_interval
  std::optional<std::int64_t> check_val_every_n_epoch = 1;
  using Count = Argument<std::int64_t>;
  using Switch = Argument<bool>;
  Count num_sanity_val_steps = Count::unset(2);  // -1 = all
  Count log_every_n_steps = Count::unset(50);    // 0 = never
  Switch enable_checkpointing = Switch::unset(true);
  Switch enable_progress_bar = Switch::unset(true);
  Switch enable_model_summary = Switch::unset(true);
  std::int64_t accumulate_grad_batches = 1;
  std::optional<double> gradient_clip_val;
  std::string gradient_clip_algorithm = "norm";  // "norm" or "value"
  Determinism deterministic = Determinism::kUntouched;
  std::optional<bool> benchmark;
  bool inference_mode = true;
  bool use_distributed_sampler = true;
  ProfilerArgument profiler;
  bool detect_anomaly = false;
  bool barebones = false;
  bool sync_batchnorm = false;
  std::int64_t reload_dataloaders_every_n_epochs = 0;
  std::string default_root_dir;  // "" = the working folder
  bool enable_autolog_hparams = true;
  // ModelCheckpoint's files, and those that the orchestrator asks for, are written while training
  // goes on (Lightning's AsyncCheckpointIO plugin).
  bool async_checkpoint = true;
};

// Applies what some arguments force on others (fast_dev_run, overfit_batches, barebones) and checks
// every range, in Lightning's order and words, with its lines about what was given. Throws
// MisconfigurationException or std::invalid_argument (Lightning's ValueError).
TrainerOptions settle_options(TrainerOptions options);

}  // namespace lctl
