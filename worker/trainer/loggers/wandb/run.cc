#include "worker/trainer/loggers/wandb/run.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <fstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/id.h"
#include "base/version.h"
#include "worker/trainer/loggers/host_name.h"
#include "worker/trainer/loggers/wandb/digest.h"
#include "worker/trainer/loggers/wandb/json_text.h"
#include "worker/trainer/loggers/wandb/run_directory.h"

namespace lctl::wandb {
namespace {

namespace fs = std::filesystem;

using Items = google::protobuf::RepeatedPtrField<records::Item>;

constexpr std::string_view kForbidden = "/\\#?%:";
constexpr std::size_t kMaxNameBytes = 128;  // of ids, which are part of file names, and projects
constexpr std::size_t kMaxTagBytes = 64;
constexpr const char* kMinConsumer = "0.70.0";  // what W&B 0.31 writes
constexpr int kWriterIdLength = 32;
constexpr std::size_t kDigestInName = 20;

void refuse_forbidden(std::string_view what, std::string_view text) {
  const std::size_t at = text.find_first_of(kForbidden);
  if (at != std::string_view::npos) {
    throw std::invalid_argument(
        fmt::format("{}: Invalid {} '{}': cannot contain characters '/,\\,#,?,%,:', found '{}'",
                    kWho, what, text, text[at]));
  }
  if (text.size() > kMaxNameBytes) {
    throw std::invalid_argument(fmt::format("{}: Invalid {} '{}': exceeded {} characters", kWho,
                                            what, text, kMaxNameBytes));
  }
}

void set_time(WallTime time, records::Time& out) {
  constexpr std::int64_t kMicros = 1'000'000;
  out.set_seconds(unix_micros(time) / kMicros);
  out.set_nanos(static_cast<std::int32_t>(unix_micros(time) % kMicros * 1000));
}

std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(std::move(word));
  return words;
}

std::string system_text() {
  utsname names{};
  if (uname(&names) != 0) return "Linux";
  return fmt::format("{}-{}-{}", names.sysname, names.release, names.machine);
}

records::Item& add_item(Items& items, std::string_view name, std::string json) {
  records::Item& item = *items.Add();
  item.add_nested_key(std::string(name));
  item.set_value_json(std::move(json));
  return item;
}

void add_histogram_items(Items& items, std::string_view name, const Histogram& histogram) {
  add_item(items, name, "\"histogram\"").add_nested_key("_type");
  add_item(items, name, json_of(histogram.counts)).add_nested_key("values");
  add_item(items, name, json_of(histogram.edges)).add_nested_key("bins");
}

std::string json_of_metric(const LoggedMetric& metric) {
  if (const auto* whole = std::get_if<std::int64_t>(&metric.value)) return std::to_string(*whole);
  return json_of(std::get<double>(metric.value));
}

}  // namespace

void check_settings(const RunSettings& settings) {
  refuse_forbidden("project name", settings.project);
  refuse_forbidden("run ID", settings.id);
  if (settings.id.empty() || settings.id.front() == ' ' || settings.id.back() == ' ') {
    throw std::invalid_argument(
        fmt::format("{}: Run ID '{}' cannot be empty, and cannot start or end with whitespace",
                    kWho, settings.id));
  }
  for (const std::string& tag : settings.tags) {
    if (!tag.empty() && tag.size() <= kMaxTagBytes) continue;
    throw std::invalid_argument(
        fmt::format("{}: Tag '{}' is {} characters. Tags must be between 1 "
                    "and {} characters.",
                    kWho, tag, tag.size(), kMaxTagBytes));
  }
}

Run::Run(RunSettings settings, const Clock& clock)
    : settings_(std::move(settings)),
      clock_(clock),
      started_at_(clock.wall_now()),
      started_(clock.monotonic_now()) {
  check_settings(settings_);
  folder_ = make_run_directory(settings_.root, settings_.id, started_at_);
  file_ = std::make_unique<RecordFile>(folder_ / fmt::format("run-{}.wandb", settings_.id));
  records::Record record;
  records::VersionInfo& version = *record.mutable_header()->mutable_version_info();
  version.set_producer(fmt::format("lctl-{}", kVersion));
  version.set_min_consumer(kMinConsumer);
  write(record);
  write_run();
  write_environment();
  flush();
}

Run::~Run() {
  try {
    finish(1);
  } catch (const std::exception&) {
    // The run is ending for a reason of its own; finish() tells those who ask.
  }
}

void Run::write(records::Record& record) {
  if (file_ == nullptr)
    throw std::logic_error(fmt::format("{}: the run {} is finished", kWho, settings_.id));
  record.set_num(++records_);
  record.mutable_info()->set_stream_id(settings_.id);
  bytes_.clear();
  record.AppendToString(&bytes_);
  file_->append(bytes_);
}

void Run::write_run() {
  records::Record record;
  records::Run& run = *record.mutable_run();
  run.set_run_id(settings_.id);
  run.set_entity(settings_.entity);
  run.set_project(settings_.project);
  records::Item& internal = *run.mutable_config()->add_update();
  internal.set_key("_wandb");
  internal.set_value_json("{}");
  run.set_run_group(settings_.group);
  run.set_job_type(settings_.job_type);
  run.set_display_name(settings_.name);
  run.set_notes(settings_.notes);
  for (const std::string& tag : settings_.tags) run.add_tags(tag);
  run.set_host(host_name());
  set_time(started_at_, *run.mutable_start_time());
  run.set_resume(true);
  write(record);
}

void Run::write_environment() {
  records::Record record;
  records::Environment& environment = *record.mutable_environment();
  environment.set_os(system_text());
  set_time(started_at_, *environment.mutable_started_at());
  const std::vector<std::string> words = command_line();
  for (std::size_t i = 1; i < words.size(); ++i) environment.add_args(words[i]);
  if (!words.empty()) environment.set_program(words.front());
  environment.set_root(settings_.root);
  environment.set_host(host_name());
  std::error_code ignored;
  environment.set_executable(fs::read_symlink("/proc/self/exe", ignored).string());
  environment.set_cpu_count_logical(std::thread::hardware_concurrency());
  environment.set_writer_id(random_id(kWriterIdLength));
  write(record);
}

void Run::define_step_metric(std::string_view name) {
  records::Record record;
  records::Metric& step = *record.mutable_metric();
  step.set_name(std::string(name));
  step.mutable_options()->set_defined(true);
  write(record);
  records::Metric& all = *record.mutable_metric();
  all.Clear();
  all.set_glob_name("*");
  all.set_step_metric(std::string(name));
  all.mutable_options()->set_step_sync(true);
  all.mutable_options()->set_defined(true);
  write(record);
}

void Run::update_config(const checkpoint::Dict& values) {
  if (values.size() == 0) return;
  records::Record record;
  for (const auto& [key, value] : values.entries()) {
    records::Item& item = *record.mutable_config()->add_update();
    item.set_key(key.is_string() ? key.as_string() : std::to_string(key.as_int()));
    item.set_value_json(json_of(value));
  }
  write(record);
}

void Run::add_histogram(std::string name, Histogram histogram) {
  waiting_.insert_or_assign(std::move(name), std::move(histogram));
}

double Run::runtime() const {
  return std::chrono::duration<double>(clock_.monotonic_now() - started_).count();
}

void Run::log(std::span<const LoggedMetric> values) {
  records::Record record;
  records::History& history = *record.mutable_history();
  Items& items = *history.mutable_item();
  for (const LoggedMetric& metric : values) add_item(items, metric.name, json_of_metric(metric));
  for (const auto& [name, histogram] : waiting_) add_histogram_items(items, name, histogram);
  waiting_.clear();
  add_item(items, "_timestamp", json_of(static_cast<double>(unix_micros(clock_.wall_now())) / 1e6));
  add_item(items, "_runtime", json_of(runtime()));
  add_item(items, "_step", std::to_string(rows_));
  history.mutable_step()->set_num(rows_);
  ++rows_;

  records::Record summary;
  Items& updates = *summary.mutable_summary()->mutable_update();
  updates.CopyFrom(items);
  add_item(updates, "_wandb", std::to_string(static_cast<std::int64_t>(runtime())))
      .add_nested_key("runtime");
  write(summary);
  write(record);
}

void Run::add_media(std::string_view name, std::string_view type, const std::string& path,
                    std::string_view extension, std::string_view content) {
  const std::string sha256 = hex(digest_of("SHA256", content));
  const std::string file = fmt::format("{}_{}{}", path, sha256.substr(0, kDigestInName), extension);
  const fs::path place = folder_ / "files" / file;
  make_folders(place.parent_path(), kWho);
  write_whole_file(place, content, kWho);
  records::Record record;
  record.mutable_files()->add_files()->set_path(file);
  write(record);
  records::Item& item = *record.mutable_summary()->add_update();
  item.set_key(std::string(name));
  item.set_value_json(fmt::format(R"({{"_type":{},"sha256":"{}","size":{},"path":{}}})",
                                  json_of(type), sha256, content.size(),
                                  json_of(std::string_view(file))));
  write(record);
}

void Run::log_artifact(records::Artifact artifact) {
  artifact.set_run_id(settings_.id);
  artifact.set_project(settings_.project);
  artifact.set_entity(settings_.entity);
  records::Record record;
  *record.mutable_artifact() = std::move(artifact);
  write(record);
}

void Run::finish(int exit_code) {
  if (file_ == nullptr) return;
  if (!waiting_.empty()) log({});
  const auto seconds = static_cast<std::int32_t>(runtime());
  records::Record record;
  Items& updates = *record.mutable_summary()->mutable_update();
  add_item(updates, "_wandb", std::to_string(seconds)).add_nested_key("runtime");
  add_item(updates, "_runtime", std::to_string(seconds));
  write(record);
  record.mutable_exit()->set_exit_code(exit_code);
  record.mutable_exit()->set_runtime(seconds);
  write(record);
  const std::unique_ptr<RecordFile> file = std::move(file_);
  file->close();
}

}  // namespace lctl::wandb
