#include "server/storage_options.h"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <string>

#include "jobspec/quantity.h"
#include "jobspec/value.h"

namespace lctl::server {
namespace {

constexpr char kGroup[] = "What is kept";

template <typename T>
T require(const jobspec::Quantity<T>& quantity, const std::string& option, const std::string& text,
          const char* example) {
  if (quantity.value && *quantity.value > 0) return *quantity.value;
  throw CLI::ValidationError(
      option, fmt::format("`{}` {}; expected something like {}", text,
                          quantity.value ? "is not above zero" : quantity.problem, example));
}

void add_age(CLI::App& app, const std::string& name, std::optional<Duration>& into,
             const std::string& about) {
  app.add_option_function<std::string>(
         name,
         [name, &into](const std::string& text) {
           into = std::chrono::milliseconds(
               require(jobspec::parse_duration_ms(jobspec::Value(text)), name, text, "90d or 12h"));
         },
         about)
      ->type_name("AGE")
      ->group(kGroup);
}

void add_size(CLI::App& app, const std::string& name, std::int64_t& into,
              const std::string& about) {
  app.add_option_function<std::string>(
         name,
         [name, &into](const std::string& text) {
           into = require(jobspec::parse_size(jobspec::Value(text)), name, text, "500GiB");
         },
         about)
      ->type_name("SIZE")
      ->group(kGroup);
}

}  // namespace

void declare_storage_options(CLI::App& app, ServerOptions& options) {
  retention::Rules& rules = options.retention;
  add_age(app, "--keep-finished-jobs", rules.keep_jobs,
          "delete jobs so long after their end (default: never; a tag `keep` protects a job)");
  add_age(app, "--keep-checkpoints", rules.keep_checkpoints,
          "so long after a job's end drop its checkpoints but the best, the last and what a resume "
          "needs");
  add_age(app, "--keep-logs", rules.keep_logs,
          "delete a job's console output so long after its end");
  add_size(app, "--max-store-size", rules.max_store_bytes,
           "beyond it drop, of jobs that have ended and oldest first, checkpoints as above, then "
           "output, then whole jobs");
  app.add_option("--max-jobs-per-user", options.quotas.unfinished_jobs_per_user,
                 "jobs of a user that have not ended; one more is refused (0 = no limit)")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000))
      ->group(kGroup);
  app.add_option("--max-jobs-per-experiment", options.quotas.unfinished_jobs_per_experiment,
                 "the same for an experiment")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000))
      ->group(kGroup);
  add_size(app, "--max-checkpoints-per-user", options.checkpoint_quotas.per_user_bytes,
           "checkpoints of a user's jobs; further ones wait on their nodes, training goes on");
  add_size(app, "--max-checkpoints-per-experiment", options.checkpoint_quotas.per_experiment_bytes,
           "the same for an experiment");
  app.add_option("--max-metric-keys", options.max_metric_keys,
                 "metric keys of a job; points of further ones are left out (0 = no limit)")
      ->type_name("N")
      ->check(CLI::Range(0, 10'000'000))
      ->group(kGroup);
  app.add_option_function<std::string>(
         "--reserve",
         [&options](const std::string& text) {
           const auto size = jobspec::parse_size(jobspec::Value(text));
           if (text == "0") {
             options.reserve_bytes = 0;
           } else {
             options.reserve_bytes = require(size, "--reserve", text, "1GiB");
           }
         },
         "free space of the disk that is kept for the database: beyond it checkpoints wait on "
         "their "
         "nodes (default: a twentieth of the disk, 1GiB at most; 0 = none)")
      ->type_name("SIZE")
      ->group(kGroup);
}

}  // namespace lctl::server
