#include "client/cli/export/job_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "base/status.h"
#include "client/cli/export/metrics_csv.h"
#include "client/cli/export/whole_file.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"

namespace lctl::cli {
namespace {

namespace fs = std::filesystem;

// Of an answer; the server refuses more than some millions.
constexpr std::int64_t kStepsPerCall = 1'000'000;
constexpr std::uintmax_t kMaxMarkBytes = 64 << 10;

absl::Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return errno_status(error.value(), fmt::format("cannot make the folder {}", folder.string()));
}

// Names of jobs have no other characters; but they come from a server.
std::string folder_name(const v1::Job& job) {
  std::string name = job.spec().name() + "-" + job.id();
  std::replace_if(
      name.begin(), name.end(),
      [](char c) {
        return !(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.');
      },
      '_');
  if (name.front() == '.') name.front() = '_';
  return name;
}

std::string text_of(const Json& json) {
  std::ostringstream text;
  print_json(text, json);
  return text.str();
}

// One job on its way to its folder.
class Exporting {
 public:
  Exporting(client::Client& client, const v1::JobDetails& details,
            std::vector<v1::Checkpoint> checkpoints, const ExportOptions& options,
            const ExportProgress& progress, std::stop_token stop)
      : client_(client),
        details_(details),
        job_(details.job()),
        checkpoints_(std::move(checkpoints)),
        folder_(fs::path(options.dir) / folder_name(job_)),
        with_files_(options.checkpoints),
        progress_(progress),
        stop_(std::move(stop)) {
    done_.folder = folder_.string();
  }

  absl::StatusOr<JobExport> run() {
    if (is_whole()) {
      done_.was_there = true;
      return done_;
    }
    LCTL_RETURN_IF_ERROR(make_folder(folder_));
    LCTL_RETURN_IF_ERROR(write_texts());
    LCTL_RETURN_IF_ERROR(write_metrics());
    LCTL_RETURN_IF_ERROR(write_logs());
    if (with_files_) LCTL_RETURN_IF_ERROR(write_checkpoints());
    LCTL_RETURN_IF_ERROR(write_whole(file("export.json"), mark()));
    return done_;
  }

 private:
  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  void tell(const std::string& what) const {
    if (progress_) progress_(fmt::format("{}  {}", job_title(job_), what));
  }

  absl::Status check_stop() const {
    return stop_.stop_requested() ? absl::CancelledError("interrupted") : absl::OkStatus();
  }

  // What an unchanged job has again.
  std::string mark() const {
    Json ids = Json::array();
    for (const v1::Checkpoint& checkpoint : checkpoints_) ids.push_back(checkpoint.id());
    return text_of({{"job", job_.id()},
                    {"state", state_name(job_.state())},
                    {"attempt", job_.attempt()},
                    {"finished", time_json(job_.finished_us())},
                    {"with_files", with_files_},
                    {"checkpoints", ids}});
  }

  // Jobs that go on change all the time, whatever their mark says.
  bool is_whole() const {
    std::error_code error;
    const auto size = fs::file_size(folder_ / "export.json", error);
    if (error || size > kMaxMarkBytes || !client::is_final(job_.state())) return false;
    std::ostringstream text;
    text << std::ifstream(folder_ / "export.json").rdbuf();
    return text.str() == mark();
  }

  absl::Status write_texts() {
    tell("job file");
    LCTL_RETURN_IF_ERROR(write_whole(file("job.yaml"), job_.spec().config_yaml()));
    LCTL_ASSIGN_OR_RETURN(const std::string hparams, client_.hyperparameters(job_.id()));
    if (!hparams.empty()) LCTL_RETURN_IF_ERROR(write_whole(file("hparams.yaml"), hparams));
    if (details_.has_source()) LCTL_RETURN_IF_ERROR(write_changes());
    return write_whole(file("status.json"), text_of(details_json(details_, checkpoints_)));
  }

  // What differed from the commit that status.json names.
  absl::Status write_changes() {
    LCTL_ASSIGN_OR_RETURN(const v1::SourceCode source, client_.source(job_.id()));
    if (source.diff().empty()) return absl::OkStatus();
    return write_whole(file("changes.diff"), source.diff());
  }

  absl::Status write_metrics() {
    LCTL_ASSIGN_OR_RETURN(const std::vector<v1::MetricSummary> keys, client_.metrics(job_.id()));
    LCTL_ASSIGN_OR_RETURN(WholeFile out, WholeFile::create(file("metrics.csv")));
    LCTL_RETURN_IF_ERROR(out.write(kMetricsHeader));
    for (const v1::MetricSummary& summary : keys) {
      tell(fmt::format("metrics  {}", summary.key()));
      LCTL_RETURN_IF_ERROR(write_curve(summary, out));
    }
    return out.finish();
  }

  // A range of steps at a time. The last one has no end: the job may have gone on meanwhile.
  absl::Status write_curve(const v1::MetricSummary& summary, WholeFile& out) {
    std::int64_t from = 0;
    while (true) {
      LCTL_RETURN_IF_ERROR(check_stop());
      const bool last = summary.last().step() < from + kStepsPerCall;
      LCTL_ASSIGN_OR_RETURN(
          const std::vector<v1::MetricPoint> points,
          client_.metric(job_.id(), summary.key(),
                         {.from_step = from, .to_step = last ? 0 : from + kStepsPerCall}));
      for (const v1::MetricPoint& point : points) {
        LCTL_RETURN_IF_ERROR(out.write(metric_line(summary.key(), point)));
      }
      done_.points += static_cast<std::int64_t>(points.size());
      if (last) return absl::OkStatus();
      from += kStepsPerCall;
    }
  }

  absl::Status write_logs() {
    for (const v1::Attempt& attempt : details_.attempts()) {
      const fs::path folder = folder_ / "logs" / fmt::format("attempt-{}", attempt.number());
      for (int rank = 0; rank < attempt.ranks_size(); ++rank) {
        tell(fmt::format("output of attempt {} rank {}", attempt.number(), rank));
        LCTL_RETURN_IF_ERROR(make_folder(folder));
        LCTL_RETURN_IF_ERROR(write_log(folder, attempt.number(), rank));
      }
    }
    return absl::OkStatus();
  }

  absl::Status write_log(const fs::path& folder, int attempt, int rank) {
    const std::string base = (folder / fmt::format("rank-{}", rank)).string();
    LCTL_ASSIGN_OR_RETURN(WholeFile out, WholeFile::create(base + ".stdout.txt"));
    LCTL_ASSIGN_OR_RETURN(WholeFile error, WholeFile::create(base + ".stderr.txt"));
    absl::Status written;
    const client::LogSink sink = [&](const v1::LogChunk& chunk) {
      const bool is_error = chunk.stream().kind() == v1::STREAM_KIND_STDERR;
      written = (is_error ? error : out).write(chunk.text());
      done_.log_bytes += static_cast<std::int64_t>(chunk.text().size());
      return written.ok();
    };
    const absl::Status read =
        client_.logs({.job = job_.id(), .attempt = attempt, .rank = rank}, sink, stop_);
    LCTL_RETURN_IF_ERROR(written);
    LCTL_RETURN_IF_ERROR(read);
    LCTL_RETURN_IF_ERROR(out.finish());
    return error.finish();
  }

  absl::Status write_checkpoints() {
    if (checkpoints_.empty()) return absl::OkStatus();
    LCTL_RETURN_IF_ERROR(make_folder(folder_ / "checkpoints"));
    std::set<std::string> names;
    // The newest of a name has it for itself; older ones get their id in front.
    for (auto checkpoint = checkpoints_.rbegin(); checkpoint != checkpoints_.rend(); ++checkpoint) {
      LCTL_RETURN_IF_ERROR(check_stop());
      std::string name = local_name_of(*checkpoint);
      if (!names.insert(name).second) name = checkpoint->id() + "-" + name;
      LCTL_RETURN_IF_ERROR(write_checkpoint(*checkpoint, file("checkpoints/" + name)));
    }
    return absl::OkStatus();
  }

  absl::Status write_checkpoint(const v1::Checkpoint& checkpoint, const std::string& path) {
    const std::int64_t size = checkpoint.written().size();
    // It was verified before it got its name; beside it stands which one it is.
    std::error_code error;
    const auto there = fs::file_size(path, error);
    const std::string hash = checkpoint.sha256() + "\n";
    if (!error && there == static_cast<std::uintmax_t>(size) && holds(path + ".sha256", hash)) {
      return absl::OkStatus();
    }
    const std::string name = fs::path(path).filename().string();
    const absl::Status status = client_.download(
        checkpoint.id(), path,
        [&](std::int64_t bytes, std::int64_t whole) {
          tell(fmt::format("{}  {} of {}", name, human_size(bytes), human_size(whole)));
        },
        stop_);
    // Retention took it since it was listed.
    if (absl::IsNotFound(status)) return absl::OkStatus();
    LCTL_RETURN_IF_ERROR(status);
    ++done_.checkpoints;
    done_.checkpoint_bytes += size;
    return write_whole(path + ".sha256", hash);
  }

  static bool holds(const std::string& path, const std::string& text) {
    std::string found(text.size() + 1, '\0');
    std::ifstream in(path, std::ios::binary);
    in.read(found.data(), static_cast<std::streamsize>(found.size()));
    found.resize(static_cast<std::size_t>(in.gcount()));
    return found == text;
  }

  client::Client& client_;
  const v1::JobDetails& details_;
  const v1::Job& job_;
  const std::vector<v1::Checkpoint> checkpoints_;  // oldest first
  const fs::path folder_;
  const bool with_files_;
  const ExportProgress& progress_;
  const std::stop_token stop_;
  JobExport done_;
};

}  // namespace

absl::StatusOr<JobExport> export_job(client::Client& client, const std::string& job,
                                     const ExportOptions& options, const ExportProgress& progress,
                                     std::stop_token stop) {
  LCTL_ASSIGN_OR_RETURN(const v1::JobDetails details, client.get(job));
  LCTL_ASSIGN_OR_RETURN(std::vector<v1::Checkpoint> checkpoints,
                        client.checkpoints(details.job().id()));
  return Exporting(client, details, std::move(checkpoints), options, progress, std::move(stop))
      .run();
}

}  // namespace lctl::cli
