// Job files and overrides. The input is a job file; lines after one that is `--` are overrides.
#include <string>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "tests/support/fuzz.h"

namespace {

constexpr char kFile[] = R"(seed_everything: 7
trainer: &t
  max_epochs: 15
  limit_train_batches: 0.5
  callbacks:
    - class_path: ModelCheckpoint
      init_args: {monitor: val/acc, mode: max, filename: "{epoch:02d}"}
model:
  class_path: Classifier
  init_args:
    layers:
      - Linear: {in_features: 64, out_features: 256}
      - ReLU
    metrics: [acc]
data: {class_path: CsvDataModule, init_args: {path: d.csv, label: y, scale: 16.0}}
optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 1e-3, betas: [0.9, .999]}}
lr_scheduler: {class_path: OneCycleLR, init_args: {max_lr: 0.1, total_steps: 9}, interval: step}
job:
  name: a
  resources: {nodes: 2, memory: 4GiB}
  checkpoint_every: 1m30s
  environment: {A: "1"}
  tags: {<<: {x: y}}
  elastic: {min_nodes: 1, max_nodes: 2}
  log_policies: [{pattern: "a|b", action: {label: x}}, {pattern: c, action: exclude_node}]
)";

}  // namespace

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {kFile,
          std::string(kFile) +
              "\n--\n--trainer.max_epochs=3\n--optimizer=SGD\n--optimizer.lr=0.5\n"
              "--trainer.callbacks+={class_path: EarlyStopping, init_args: {monitor: val/loss}}\n"
              "--trainer.callbacks.0.init_args.mode=min\n",
          "a: &a [1, 2]\nb: [*a, *a]\n", "? x\n: {y: !!str 3}\n"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lctl::jobspec;
  std::string text(reinterpret_cast<const char*>(data), size);
  ParseOptions options;
  options.check_files = false;
  options.base_dir = "/jobs";
  if (const std::size_t mark = text.find("\n--\n"); mark != std::string::npos) {
    std::string_view rest = std::string_view(text).substr(mark + 4);
    while (!rest.empty() && options.overrides.size() < 20) {
      const std::size_t end = rest.find('\n');
      options.overrides.emplace_back(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    text.resize(mark);
  }
  const auto config = parse(text, options);
  if (!config.ok()) return 0;
  // What is accepted here is accepted by the server and the ranks, and means the same to them.
  options.overrides.clear();
  const auto again = parse(config->canonical_yaml(), options);
  if (!again.ok() || !(again->tree == config->tree)) __builtin_trap();
  return 0;
}
