#include "worker/trainer/loggers/tensorboard_logger.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/trainable_module.h"
#include "worker/trainer/loggers/appended_file.h"
#include "worker/trainer/loggers/hparams_yaml.h"
#include "worker/trainer/loggers/run_folder.h"
#include "worker/trainer/loggers/tensorboard_graph.h"
#include "worker/trainer/loggers/tensorboard_hparams.h"
#include "worker/trainer/trainer/example_input.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPlaceholderMetric = "hp_metric";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// os.path.expandvars: $NAME and ${NAME}; unknown ones stay as they are.
std::string expand_variables(const std::string& path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool braced = path.compare(i, 2, "${") == 0;
    const std::size_t begin = i + (braced ? 2 : 1);
    std::size_t end = begin;
    while (path[i] == '$' && end < path.size() && (braced ? path[end] != '}' : is_word(path[end])))
      ++end;
    const bool closed = !braced || end < path.size();
    const char* value = path[i] == '$' && closed && end > begin
                            ? std::getenv(path.substr(begin, end - begin).c_str())
                            : nullptr;
    if (value == nullptr) {
      out.push_back(path[i]);
      continue;
    }
    out += value;
    i = braced ? end : end - 1;
  }
  return out;
}

// os.path.expanduser, of one's own home.
std::string expand_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || path.empty() || path[0] != '~' || (path.size() > 1 && path[1] != '/'))
    return path;
  return home + path.substr(1);
}

}  // namespace

TensorBoardLogger::TensorBoardLogger(Options options) : options_(std::move(options)) {}
TensorBoardLogger::~TensorBoardLogger() = default;

std::variant<std::int64_t, std::string> TensorBoardLogger::version() {
  if (!version_) {
    version_ = settled_version(options_.version, fs::path(options_.save_dir) / options_.name);
  }
  return *version_;
}

std::string TensorBoardLogger::log_dir() {
  fs::path folder = options_.save_dir;
  if (!options_.name.empty()) folder /= options_.name;
  folder /= version_folder(version());
  if (!options_.sub_dir.empty()) folder /= options_.sub_dir;
  return expand_home(expand_variables(folder.string()));
}

SummaryWriter& TensorBoardLogger::experiment() {
  if (experiment_ == nullptr) {
    SummaryWriter::Options writer = options_.writer;
    writer.log_dir = log_dir();
    experiment_ = std::make_unique<SummaryWriter>(std::move(writer));
  }
  return *experiment_;
}

void TensorBoardLogger::start() { experiment(); }

std::string_view TensorBoardLogger::tag(std::string_view metric) {
  if (options_.prefix.empty()) return metric;
  tag_.assign(options_.prefix).append("-").append(metric);
  return tag_;
}

void TensorBoardLogger::log_metrics(std::span<const LoggedMetric> metrics, std::int64_t step) {
  SummaryWriter& writer = experiment();
  for (const LoggedMetric& metric : metrics) {
    const double value =
        std::visit([](auto number) { return static_cast<double>(number); }, metric.value);
    writer.add_scalar(tag(metric.name), value, step);
  }
}

void TensorBoardLogger::log_hyperparams(const checkpoint::Dict& hparams) {
  for (const auto& [key, value] : hparams.entries()) hparams_.set(key.as_string(), value);
  if (!options_.default_hp_metric) return;
  SummaryWriter& writer = experiment();
  writer.add_scalar(tag(kPlaceholderMetric), -1);
  const std::array<std::string_view, 1> metrics = {kPlaceholderMetric};
  for (tensorboard::Summary& summary : hparams_summaries(flat_hparams(hparams), metrics))
    writer.add_summary(std::move(summary));
}

void TensorBoardLogger::log_graph(TrainableModule& module) {
  if (!options_.log_graph) return;
  constexpr std::string_view kCould = "Could not log computational graph to TensorBoard: ";
  const Batch& given = module.example_input_array;
  if (given.is_none()) {
    console::warn(
        fmt::format("{}The `model.example_input_array` attribute is not set or "
                    "`input_array` was not given.",
                    kCould));
    return;
  }
  auto* tree = dynamic_cast<torch::nn::Module*>(&module);
  if (tree == nullptr || !can_be_traced(given)) {
    console::warn(
        fmt::format("{}The `input_array` or `model.example_input_array` can't be traced by "
                    "TensorBoard. Make it "
                    "a tensor, or a list of the tensors that the model's `call()` takes.",
                    kCould));
    return;
  }
  Trainer* trainer = module.trainer();
  const Batch input = trainer == nullptr ? given : transferred_example(*trainer, module);
  experiment().add_graph(
      traced_graph(*tree, [&module](const Batch& example) { return module.call(example); }, input));
}

void TensorBoardLogger::save() {
  experiment().flush();
  if (hparams_file_exists_) return;
  const fs::path file = fs::path(log_dir()) / "hparams.yaml";
  if (!fs::exists(file)) write_whole_file(file, hparams_yaml(hparams_), "TensorBoardLogger");
  hparams_file_exists_ = true;
}

void TensorBoardLogger::finalize(std::string_view status) {
  if (experiment_ == nullptr) return;
  experiment_->close();
  if (status == "success") save();
}

}  // namespace lctl
