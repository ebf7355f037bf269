#include "worker/trainer/callbacks/replica_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "worker/trainer/callbacks/tensor_digest.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/strategies/strategy.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

constexpr std::size_t kDigits = 64;  // of SHA-256

// Which rank most others agree with.
std::size_t reference_rank(std::span<const std::string> digests) {
  std::map<std::string_view, std::size_t> counts;
  for (const std::string& each : digests) ++counts[each];
  std::size_t best = 0;
  for (std::size_t rank = 1; rank < digests.size(); ++rank) {
    if (counts[digests[rank]] > counts[digests[best]]) best = rank;
  }
  return best;
}

}  // namespace

ReplicaCheck::ReplicaCheck(std::int64_t every_n_steps) : every_n_steps_(every_n_steps) {
  if (every_n_steps < 1) {
    throw MisconfigurationException(
        fmt::format("ReplicaCheck: every_n_steps={}: expected the number of steps between two "
                    "checks, 1 or more",
                    every_n_steps));
  }
}

void ReplicaCheck::on_train_batch_end(Trainer& trainer, TrainableModule& module,
                                      const StepOutput& /*output*/, const Batch& /*batch*/,
                                      std::int64_t /*batch_idx*/) {
  Strategy& strategy = trainer.strategy();
  const std::int64_t step = trainer.global_step();
  if (!strategy.is_distributed() || step % every_n_steps_ != 0 || step == checked_at_) return;
  checked_at_ = step;
  const std::vector<NamedTensor> parameters = module.parameter_list();
  const std::vector<std::string> whole = strategy.gather(state_sha256(parameters));
  const bool equal =
      std::adjacent_find(whole.begin(), whole.end(), std::not_equal_to<>()) == whole.end();
  if (strategy.broadcast(equal ? "equal" : "different") == "equal") return;

  std::string digests;
  std::vector<std::string> names;
  for (const NamedTensor& parameter : parameters) {
    digests += tensor_sha256(parameter.tensor);
    names.push_back(parameter.name);
  }
  const std::vector<std::string> by_rank = strategy.gather(digests);
  std::string text;
  if (strategy.is_global_zero()) {
    text = fmt::format(
        "ReplicaCheck: at step {} {}. All ranks must hold the same parameters: a device or its "
        "memory "
        "may be failing, or the module changes parameters on some ranks only",
        step, describe_divergence(names, by_rank));
  }
  throw std::runtime_error(strategy.broadcast(text));
}

std::string describe_divergence(std::span<const std::string> names,
                                std::span<const std::string> digests) {
  const std::string& reference = digests[reference_rank(digests)];
  std::vector<std::size_t> ranks;
  std::vector<bool> differs(names.size(), false);
  for (std::size_t rank = 0; rank < digests.size(); ++rank) {
    if (digests[rank] == reference) continue;
    ranks.push_back(rank);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string_view own = std::string_view(digests[rank]).substr(i * kDigits, kDigits);
      if (own != std::string_view(reference).substr(i * kDigits, kDigits)) differs[i] = true;
    }
  }
  const auto first = std::find(differs.begin(), differs.end(), true);
  if (first == differs.end()) return "the parameters of the ranks differ";
  std::string text =
      fmt::format("rank{} {} differ{} from the others first in '{}'", ranks.size() == 1 ? "" : "s",
                  fmt::join(ranks, ", "), ranks.size() == 1 ? "s" : "",
                  names[static_cast<std::size_t>(first - differs.begin())]);
  if (const auto more = std::count(first + 1, differs.end(), true); more > 0)
    text += fmt::format(", and in {} more of {} parameters", more, names.size());
  return text;
}

}  // namespace lctl
