// lctl source: the code that a job was submitted from.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/table.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

constexpr int kNamesShown = 10;

struct Options {
  std::string job;
  bool diff = false;
  bool json = false;
};

std::string changes_text(const v1::SourceCode& source) {
  if (source.commit().empty()) return "everything: there was no commit yet";
  if (!source.changed()) return "none";
  std::string text = human_size(static_cast<std::int64_t>(source.diff().size())) + " of diff";
  if (source.files_left_out() > 0) {
    text += ", without " + counted(source.files_left_out(), "file", "files") +
            " that were too large to keep";
  }
  return text;
}

std::string untracked_text(const v1::SourceCode& source) {
  std::string text = human_count(source.untracked_count());
  for (int i = 0; i < source.untracked_size() && i < kNamesShown; ++i)
    text += (i == 0 ? ": " : ", ") + source.untracked(i);
  if (source.untracked_count() > kNamesShown) text += ", …";
  return text;
}

void print_source(const Session& session, const v1::SourceCode& source) {
  Facts facts;
  facts.add("commit", source.commit().empty() ? "none" : source.commit(), Tone::kBold);
  facts.add("branch", source.branch().empty() ? "none was checked out" : source.branch());
  facts.add("remote", source.remote());
  facts.add("folder", source.folder());
  facts.add("changes", changes_text(source));
  if (source.untracked_count() > 0) facts.add("not in git", untracked_text(source));
  session.out() << facts.render(session.look());
}

// Byte for byte, for `git apply`; on a terminal so that nothing in it controls the terminal.
void print_diff(const Session& session, const std::string& diff) {
  if (!session.look().terminal) {
    session.out() << diff;
    return;
  }
  print_lines(session.out(), diff);
}

int source(const Session& session, const Options& options) {
  if (options.diff && options.json) {
    return session.misuse("--diff and --json exclude each other: --json has the diff, too");
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  const auto found = client->source(options.job);
  if (!found.ok()) return session.fail(found.status());
  if (options.json) {
    print_json(session.out(), source_json(*found));
  } else if (options.diff) {
    print_diff(session, found->diff());
  } else {
    print_source(session, *found);
  }
  return kExitOk;
}

}  // namespace

void add_source(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "source",
       .summary = "Show the code that a job was submitted from",
       .about = "The commit, the branch and the remote of the working tree of git that the job was "
                "submitted from, and what differed from the commit then. --diff prints that "
                "difference (at most 1 MiB of whole files; files that git did not know are only "
                "named), so that `git apply` makes it again. Nothing was kept of a job that was "
                "submitted elsewhere, or with --no-source.",
       .examples = "  lctl source @last\n"
                   "  git checkout $(lctl source @last --json | jq -r .commit)\n"
                   "  lctl source @last --diff | git apply"});
  add_job(command, options->job)->required();
  command->add_flag("--diff", options->diff, "Print what differed from the commit");
  add_json(command, options->json);
  run_with(command, session, options, source);
}

}  // namespace lctl::cli
