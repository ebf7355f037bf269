// lctl checkpoints diff: what a part of the training has changed.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/status.h"
#include "client/cli/checkpoint_choice.h"
#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/local_cluster/captured_output.h"
#include "client/cli/local_cluster/programs.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/progress_line.h"
#include "client/cli/terminal/table.h"

namespace lctl::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestAnswer = std::size_t{256} << 20;

struct Options {
  std::string job;
  std::string first;
  std::string second;
  std::string other;
  bool json = false;
};

// One of the two: a checkpoint of a job, or a file that is here.
struct Side {
  std::optional<v1::Checkpoint> checkpoint;
  fs::path file;

  std::string text() const {
    if (!checkpoint.has_value()) return file.string();
    const v1::CheckpointWritten& written = checkpoint->written();
    return fmt::format("{}  step {}, epoch {}, {}  {}", checkpoint->id(),
                       human_count(written.global_step()), written.epoch(),
                       human_size(written.size()), file_name_of(written));
  }
};

// A folder that goes with its owner.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "lctl-diff-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const fs::path& path() const { return path_; }  // empty when it could not be made

 private:
  fs::path path_;
};

absl::StatusOr<Side> find_side(client::Client& client, const std::string& job,
                               const std::string& wanted, bool before_newest) {
  std::error_code ignored;
  if (!wanted.empty() && fs::is_regular_file(wanted, ignored))
    return Side{.checkpoint = {}, .file = wanted};
  const auto all = client.checkpoints(job);
  if (!all.ok()) return all.status();
  if (wanted.empty() && before_newest) {
    // last.ckpt is often the twin of the one before it.
    const auto earlier = std::find_if(all->rbegin(), all->rend(), [&](const auto& each) {
      return each.written().global_step() != all->back().written().global_step();
    });
    if (earlier != all->rend()) return Side{.checkpoint = *earlier, .file = {}};
    return absl::FailedPreconditionError(
        fmt::format("job {} has {}: name what to compare with, or --other JOB", job,
                    all->empty() ? "no checkpoints yet" : "checkpoints of one step only"));
  }
  auto chosen = choose_checkpoint(*all, wanted.empty() ? "newest" : wanted, job);
  if (!chosen.ok()) return chosen.status();
  return Side{.checkpoint = *std::move(chosen), .file = {}};
}

absl::Status fetch(const Session& session, client::Client& client, const fs::path& folder,
                   const char* name, Side& side) {
  if (!side.checkpoint.has_value()) return absl::OkStatus();
  side.file = folder / name;
  LiveLine line(session.err(), session.environment.clock);
  client::DownloadProgress progress;
  if (session.environment.err_look.terminal) {
    progress = [&](std::int64_t done, std::int64_t whole) {
      line.update(
          fmt::format("{}  {} of {}", side.checkpoint->id(), human_size(done), human_size(whole)));
    };
  }
  const absl::Status status = client.download(side.checkpoint->id(), side.file.string(), progress,
                                              session.environment.interrupts.first());
  line.clear();
  return status;
}

absl::StatusOr<Json> compare(const Session& session, const Side& first, const Side& second) {
  const auto trainer = find_program(kTrainerProgram, session.environment.variable);
  if (!trainer.ok()) return trainer.status();
  const auto output = captured_output(
      {*trainer, "compare", first.file.string(), second.file.string()}, true, kLargestAnswer);
  if (!output.ok()) return output.status();
  Json json = Json::parse(output->text, nullptr, /*allow_exceptions=*/false);
  if (output->exit_code == 0 && json.is_object()) return json;
  return absl::InternalError(
      fmt::format("{} could not compare them: it ended with {}", *trainer, output->exit_code));
}

std::string number_text(const Json& tensor, const char* key) {
  return tensor[key].is_number() ? human_number(tensor[key].get<double>()) : "not finite";
}

void print(const Session& session, const Side& first, const Side& second, const Json& result) {
  session.out() << "first   " << first.text() << "\nsecond  " << second.text() << "\n\n";
  Table table({{"CHANGED", true}, {"LARGEST", true}, {"RELATIVE", true}, {"WHAT"}});
  for (const Json& each : result["differences"]) {
    const std::string path = each["path"].get<std::string>();
    const std::string before = each["first"].get<std::string>();
    const std::string after = each["second"].get<std::string>();
    const Json& tensor = each["tensor"];
    if (each["kind"] == "only_first") {
      table.add({{"gone", Tone::kBad}, "", "", fmt::format("{}  {}", path, before)});
    } else if (each["kind"] == "only_second") {
      table.add({{"new", Tone::kGood}, "", "", fmt::format("{}  {}", path, after)});
    } else if (tensor.is_null()) {
      table.add({"value", "", "", fmt::format("{}  {} → {}", path, before, after)});
    } else {
      const double share =
          100.0 * tensor["changed"].get<double>() / std::max(1.0, tensor["elements"].get<double>());
      table.add({fmt::format("{:.3g}%", share), number_text(tensor, "largest"),
                 number_text(tensor, "relative"), fmt::format("{}  {}", path, before)});
    }
  }
  if (!table.empty()) session.out() << table.render(session.look()) << '\n';
  const Json& equal = result["equal"];
  session.out() << fmt::format("{}{} tensors ({} numbers) and {} values are equal.\n",
                               table.empty() ? "Nothing differs: " : "",
                               human_count(equal["tensors"].get<std::int64_t>()),
                               human_count(equal["elements"].get<std::int64_t>()),
                               human_count(equal["values"].get<std::int64_t>()));
}

int diff(const Session& session, const Options& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const bool one_job = options.other.empty() && options.second.empty();
  auto first = find_side(*client, options.job, options.first, one_job);
  if (!first.ok()) return session.fail(first.status());
  auto second = find_side(*client, options.other.empty() ? options.job : options.other,
                          options.second, false);
  if (!second.ok()) return session.fail(second.status());
  const ScratchFolder scratch;
  if (scratch.path().empty())
    return session.fail(errno_status(errno, "cannot make a folder for the downloads"));
  for (const auto& [side, name] : {std::pair{&*first, "first.ckpt"}, {&*second, "second.ckpt"}}) {
    const absl::Status status = fetch(session, *client, scratch.path(), name, *side);
    if (absl::IsCancelled(status)) return kExitInterrupted;
    if (!status.ok()) return session.fail(status);
  }
  auto result = compare(session, *first, *second);
  if (!result.ok()) return session.fail(result.status());
  if (options.json) {
    for (const auto& [side, key] : {std::pair{&*first, "first"}, {&*second, "second"}}) {
      if (side->checkpoint.has_value()) (*result)[key] = checkpoint_json(*side->checkpoint);
    }
    print_json(session.out(), *result);
  } else {
    print(session, *first, *second, *result);
  }
  return kExitOk;
}

}  // namespace

void add_checkpoints_diff(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      parent,
      {.name = "diff",
       .summary = "Show what differs between two checkpoints",
       .about = "Compares two checkpoints entry by entry: weights, states of the optimizer, "
                "counters, hyper-parameters. For a tensor it says how many of its numbers "
                "changed, the largest change, and the norm of the change beside the norm of the "
                "first. Without names: the newest checkpoint with the newest of another step. A "
                "name is an id, the start of one, best, last or newest, or a .ckpt file. It needs "
                "lctl-trainer on this machine, which reads the files.",
       .examples = "  lctl checkpoints diff @last\n"
                   "  lctl checkpoints diff digits-mlp best newest\n"
                   "  lctl checkpoints diff digits-mlp newest --other digits-cnn\n"
                   "  lctl checkpoints diff @last pretrained.ckpt newest --json"});
  add_job(command, options->job)->required();
  command->add_option("FIRST", options->first, "A checkpoint of the job, or a file")->type_name("");
  command->add_option("SECOND", options->second, "Another one (default: the newest)")
      ->type_name("");
  command->add_option("--other", options->other, "The job that SECOND belongs to")
      ->type_name("JOB");
  add_json(command, options->json);
  run_with(command, session, options, diff);
}

}  // namespace lctl::cli
