// lctl admin check, vacuum and gc.
#include <fmt/format.h>

#include "client/cli/admin_json.h"
#include "client/cli/commands/admin.h"
#include "client/cli/commands/commands.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/table.h"
#include "client/cli/work_line.h"

namespace lctl::cli {
namespace {

struct CheckOptions {
  bool deep = false;
  bool json = false;
};

struct VacuumOptions {
  bool json = false;
};

struct GarbageOptions {
  bool dry_run = false;
  bool json = false;
};

std::string with_size(std::int64_t count, std::int64_t bytes) {
  return count == 0 ? "0" : fmt::format("{}, {}", human_count(count), human_size(bytes));
}

void print(const Session& session, const v1::CheckResult& result) {
  Table table({{"LOOKED AT"}, {"NUMBER"}});
  table.add({"jobs", human_count(result.jobs())});
  table.add({"blocks of metric points", human_count(result.point_blocks())});
  table.add({"checkpoints", human_count(result.checkpoints())});
  table.add({"their chunks", with_size(result.chunks(), result.chunk_bytes())});
  table.add({"chunks in no checkpoint", with_size(result.unused_chunks(), result.unused_bytes())});
  table.add({"damaged chunks put aside", human_count(result.damaged_files())});
  session.out() << table.render(session.look());
}

int check(const Session& session, const CheckOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  WorkLine line(session, options.json);
  const auto result =
      client->check_store(options.deep, line.sink(), session.environment.interrupts.first());
  line.clear();
  if (!result.ok()) return session.fail(result.status());
  if (options.json) {
    print_json(session.out(), check_json(*result));
    return result->findings().empty() ? kExitOk : kExitFailed;
  }
  print(session, *result);
  if (result->findings().empty()) {
    session.out() << (options.deep ? "\nThe store is sound.\n"
                                   : "\nThe store is sound; --deep also reads every chunk.\n");
    return kExitOk;
  }
  const std::int64_t all = result->findings_size() + result->more_findings();
  std::string text =
      fmt::format("{} in the store:", counted(all, "thing is wrong", "things are wrong"));
  for (const std::string& finding : result->findings()) text += "\n  " + finding;
  if (result->more_findings() > 0) {
    text += fmt::format("\n  and {} more", human_count(result->more_findings()));
  }
  text +=
      "\nMake a backup of what is left (`lctl admin backup DIR`), check the disk (dmesg, smartctl),"
      "\nand restore the newest backup that is whole (`lctl admin restore`). A checkpoint whose "
      "chunk"
      "\nis lost cannot be read; all else can. --deep marks it as damaged: its job goes on from "
      "the "
      "one"
      "\nbefore it. The next upload of the same bytes mends the store.";
  return session.fail(absl::DataLossError(text));
}

int vacuum(const Session& session, const VacuumOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  WorkLine line(session, options.json);
  line.update("rewriting the database; whatever writes waits meanwhile");
  const auto result = client->vacuum(session.environment.interrupts.first());
  line.clear();
  if (absl::IsCancelled(result.status())) {
    session.err() << "interrupted; the server goes on and finishes it\n";
    return kExitInterrupted;
  }
  if (!result.ok()) return session.fail(result.status());
  if (options.json) {
    print_json(session.out(), vacuum_json(*result));
    return kExitOk;
  }
  session.out() << fmt::format("The database has {}; it had {}.\n",
                               human_size(result->bytes_after()),
                               human_size(result->bytes_before()));
  return kExitOk;
}

int gc(const Session& session, const GarbageOptions& options) {
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  WorkLine line(session, options.json);
  line.update("looking at every chunk");
  const auto result =
      client->collect_garbage(options.dry_run, session.environment.interrupts.first());
  line.clear();
  if (absl::IsCancelled(result.status())) {
    session.err() << "interrupted; the server goes on and finishes it\n";
    return kExitInterrupted;
  }
  if (!result.ok()) return session.fail(result.status());
  if (options.json) {
    print_json(session.out(), garbage_json(*result, options.dry_run));
    return kExitOk;
  }
  Table table({{options.dry_run ? "WOULD BE FREED" : "FREED"}, {"CHUNKS", true}, {"SIZE", true}});
  table.add({"of checkpoints that are no longer kept", human_count(result->dropped_chunks()),
             human_size(result->dropped_bytes())});
  table.add({"that no checkpoint names", human_count(result->unused_chunks()),
             human_size(result->unused_bytes())});
  session.out() << table.render(session.look());
  if (result->removals().empty()) return kExitOk;
  Table removals(
      {{options.dry_run ? "WOULD BE REMOVED" : "REMOVED"}, {"JOB"}, {"SIZE", true}, {"REASON"}});
  for (const v1::Removal& removal : result->removals()) {
    removals.add({removal.what(), fmt::format("{} ({})", removal.job_name(), removal.job_id()),
                  human_size(removal.bytes()), removal.reason()});
  }
  session.out() << '\n' << removals.render(session.look());
  return kExitOk;
}

}  // namespace

void add_admin_check(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = add_command(
      parent,
      {.name = "check",
       .summary = "Look for damage in the store",
       .about = "SQLite's own check of every page and reference, the order of metric points, and "
                "for each checkpoint that all its chunks are there in their size. With --deep also "
                "every block of points and the SHA-256 of every chunk, which reads the whole "
                "store, and marks checkpoints that cannot be read as damaged: no job goes on from "
                "them any more. Jobs go on meanwhile. Exit code 1 when anything is wrong.",
       .examples = "  lctl admin check\n"
                   "  lctl admin check --deep --json | jq -r '.findings[]'"});
  command->add_flag("--deep", options->deep, "Read every chunk and compare its hash");
  add_json(command, options->json);
  run_with(command, session, options, check);
}

void add_admin_vacuum(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<VacuumOptions>();
  CLI::App* command = add_command(
      parent,
      {.name = "vacuum",
       .summary = "Give the database's free space back to the disk",
       .about = "Rewrites the database without the space that deleted jobs and logs have left. It "
                "takes about a second for each 100 MiB; in that time reads go on, but submissions, "
                "metrics and checkpoints wait (nodes keep theirs), and a second copy needs room. "
                "Without it the space is used again by what comes, but stays with the database.",
       .examples = "  lctl admin vacuum"});
  add_json(command, options->json);
  run_with(command, session, options, vacuum);
}

void add_admin_gc(CLI::App& parent, Session& session) {
  const auto options = std::make_shared<GarbageOptions>();
  CLI::App* command = add_command(
      parent,
      {.name = "gc",
       .summary = "Free the space of checkpoints that are no longer kept",
       .about = "Does at once what the server does by itself in time: removes what its rules of "
                "retention end (lctl-server --keep-finished-jobs and its like), frees the chunks "
                "of checkpoints that are no longer kept, and those that no checkpoint names. What "
                "an upload may rely on stays for an hour. No chunk is freed while a backup is "
                "made.",
       .examples = "  lctl admin gc --dry-run\n"
                   "  lctl admin gc"});
  command->add_flag("--dry-run", options->dry_run, "Say what would go, and why; touch nothing");
  add_json(command, options->json);
  run_with(command, session, options, gc);
}

}  // namespace lctl::cli
