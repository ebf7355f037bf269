#include "server/services/spec_check.h"

#include <fmt/format.h>

#include <utility>

#include "base/pattern.h"
#include "jobspec/config.h"

namespace lctl::services {
namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;
constexpr std::size_t kMaxPathBytes = 4096;

}  // namespace

absl::StatusOr<v1::JobSpec> check_spec(const v1::JobSpec& sent) {
  if (sent.config_yaml().empty()) {
    return absl::InvalidArgumentError("the job has no configuration (config_yaml is empty)");
  }
  if (sent.config_yaml().size() > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        fmt::format("the configuration has {} bytes; at most {} are allowed",
                    sent.config_yaml().size(), kMaxConfigBytes));
  }
  if (sent.config_name().size() > kMaxPathBytes || sent.submit_dir().size() > kMaxPathBytes) {
    return absl::InvalidArgumentError(
        fmt::format("config_name and submit_dir have at most {} bytes", kMaxPathBytes));
  }
  jobspec::ParseOptions options;
  if (!sent.config_name().empty()) options.file_name = sent.config_name();
  options.check_files = false;
  options.pattern_problem = pattern_problem;
  LCTL_ASSIGN_OR_RETURN(jobspec::Config config, jobspec::parse(sent.config_yaml(), options));
  config.job.set_submit_dir(sent.submit_dir());
  return std::move(config.job);
}

}  // namespace lctl::services
