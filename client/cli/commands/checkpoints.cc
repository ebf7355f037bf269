// lctl checkpoints: list and download what a job has saved.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/status.h"
#include "client/cli/checkpoint_choice.h"
#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/progress_line.h"
#include "client/cli/terminal/table.h"

namespace lctl::cli {
namespace {

struct ListOptions {
  std::string job;
  bool json = false;
};

struct DownloadOptions {
  std::string job;
  std::string checkpoint;
  std::string output;
  bool force = false;
  bool json = false;
};

std::string marks(const v1::CheckpointWritten& written) {
  std::string text;
  if (written.is_best()) text = "best";
  if (written.is_last()) text += text.empty() ? "last" : ", last";
  return text;
}

int list(const Session& session, const ListOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto checkpoints = client->checkpoints(options.job);
  if (!checkpoints.ok()) return session.fail(checkpoints.status());
  if (options.json) {
    std::vector<Json> rows;
    for (const auto& checkpoint : *checkpoints) rows.push_back(checkpoint_json(checkpoint));
    print_json_rows(session.out(), rows);
    return kExitOk;
  }
  if (checkpoints->empty()) {
    session.out() << "No checkpoints yet.\n";
    return kExitOk;
  }
  Table table({{"ID"},
               {"STEP", true},
               {"EPOCH", true},
               {"KIND"},
               {"SIZE", true},
               {"SCORE"},
               {"MARK"},
               {"NAME"}});
  for (const auto& checkpoint : *checkpoints) {
    const auto& written = checkpoint.written();
    table.add({checkpoint.id(), human_count(written.global_step()), std::to_string(written.epoch()),
               kind_name(written.kind()), human_size(written.size()),
               written.monitor().empty()
                   ? "-"
                   : fmt::format("{} {}", written.monitor(), human_number(written.score())),
               checkpoint.damage().empty() ? Cell{marks(written), Tone::kGood}
                                           : Cell{"damaged", Tone::kBad},
               file_name_of(written)});
  }
  session.out() << table.render(session.look());
  for (const auto& checkpoint : *checkpoints) {
    if (checkpoint.damage().empty()) continue;
    session.out() << fmt::format("\n{} is damaged, and nothing goes on from it: {}\n",
                                 checkpoint.id(), checkpoint.damage());
  }
  session.out() << fmt::format("\nDownload one: lctl checkpoints download {} --checkpoint ID\n",
                               options.job);
  return kExitOk;
}

// Where to write: a name of our own in a folder, else the path itself. A folder that ends with '/'
// is made; any other must be there: it may be a slip of the pen.
absl::StatusOr<std::string> target_path(const std::string& output,
                                        const v1::Checkpoint& checkpoint) {
  const std::string name = local_name_of(checkpoint);
  if (output.empty()) return name;
  std::error_code error;
  if (output.ends_with('/')) {
    std::filesystem::create_directories(output, error);
    if (error) return errno_status(error.value(), fmt::format("cannot make the folder {}", output));
    return output + name;
  }
  if (std::filesystem::is_directory(output, error)) return output + "/" + name;
  const std::filesystem::path folder = std::filesystem::path(output).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(fmt::format(
        "there is no folder {0}; make it, or let --output {0}/ do so", folder.string()));
  }
  return output;
}

int download(const Session& session, const DownloadOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto all = client->checkpoints(options.job);
  if (!all.ok()) return session.fail(all.status());
  const auto chosen = choose_checkpoint(*all, options.checkpoint, options.job);
  if (!chosen.ok()) return session.fail(chosen.status());
  const auto target = target_path(options.output, *chosen);
  if (!target.ok()) return session.fail(target.status());
  const std::string& path = *target;
  struct stat existing{};
  if (!options.force && ::lstat(path.c_str(), &existing) == 0) {
    return session.fail(absl::AlreadyExistsError(
        fmt::format("{} exists; --force replaces it, --output chooses another name", path)));
  }
  LiveLine line(session.err(), session.environment.clock);
  client::DownloadProgress progress;
  if (session.environment.err_look.terminal && !options.json) {
    progress = [&](std::int64_t done, std::int64_t whole) {
      line.update(fmt::format("{}  {} of {}", path, human_size(done), human_size(whole)));
    };
  }
  const absl::Status status =
      client->download(chosen->id(), path, progress, session.environment.interrupts.first());
  line.clear();
  if (absl::IsCancelled(status)) {
    session.err() << fmt::format("interrupted; the same command goes on from {}.part\n", path);
    return kExitInterrupted;
  }
  if (!status.ok()) return session.fail(status);
  if (options.json) {
    Json json = checkpoint_json(*chosen);
    json["path"] = path;
    print_json(session.out(), json);
    return kExitOk;
  }
  session.out() << fmt::format("{}  {}, step {}, checkpoint {}\n", path,
                               human_size(chosen->written().size()),
                               human_count(chosen->written().global_step()), chosen->id());
  return kExitOk;
}

void add_list_command(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<ListOptions>();
  CLI::App* command = add_command(
      parent, {.name = "list",
               .summary = "Show a job's checkpoints, oldest first",
               .about = "Shows every checkpoint that the store holds for the job: those of "
                        "ModelCheckpoint (kind model), those for restarts (recovery) and those "
                        "written when the job was stopped (stop).",
               .examples = "  lctl checkpoints list @last\n"
                           "  lctl checkpoints list digits-mlp --json | jq -r '.[-1].id'"});
  add_job(command, options->job)->required();
  add_json(command, options->json);
  run_with(command, session, options, list);
}

void add_download_command(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<DownloadOptions>();
  CLI::App* command = add_command(
      parent,
      {.name = "download",
       .summary = "Copy a checkpoint to this machine",
       .about = "Writes one checkpoint of the job, a Lightning .ckpt file, and checks its "
                "SHA-256; the file appears when it is whole. Without --checkpoint it is the "
                "best one by ModelCheckpoint's score, else the newest. A download that was cut "
                "goes on where it stopped when the command is repeated.",
       .examples = "  lctl checkpoints download @last\n"
                   "  lctl checkpoints download digits-mlp --checkpoint newest --output models/\n"
                   "  lctl checkpoints download @last --checkpoint f3k --output digits.ckpt"});
  add_job(command, options->job)->required();
  command
      ->add_option("-c,--checkpoint", options->checkpoint,
                   "Its id, the start of it, or best, last, newest")
      ->type_name("ID");
  command->add_option("-o,--output", options->output, "File or folder to write to")
      ->type_name("PATH");
  command->add_flag("--force", options->force, "Replace a file that exists");
  add_json(command, options->json);
  run_with(command, session, options, download);
}

}  // namespace

void add_checkpoints(CLI::App& program, Session& session) {
  CLI::App* command = add_command(
      program,
      {.name = "checkpoints",
       .summary = "List, download or compare a job's checkpoints",
       .about = "Checkpoints are Lightning .ckpt files. They lie in the server's store, whole and "
                "verified, independent of the machines that wrote them.",
       .examples = "  lctl checkpoints list @last\n"
                   "  lctl checkpoints download @last --output digits.ckpt\n"
                   "  lctl checkpoints diff @last"});
  command->require_subcommand(1);
  add_list_command(*command, session);
  add_download_command(*command, session);
  add_checkpoints_diff(*command, session);
}

}  // namespace lctl::cli
