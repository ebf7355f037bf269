// lctl note: a text about a job.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"
#include "client/cli/job_text.h"
#include "client/cli/json.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

// A note has 8,000 at most; the server says so of what is a little longer.
constexpr std::size_t kMaxReadBytes = 64 << 10;

struct Options {
  std::string job;
  std::string text;
  bool given = false;  // "" removes the note
  bool json = false;
};

// Standard input without the line end that editors and `echo` put last.
absl::StatusOr<std::string> read_text(std::istream& in) {
  std::string text(kMaxReadBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxReadBytes) {
    return absl::InvalidArgumentError(fmt::format(
        "standard input has more than {} bytes; a note has at most 8,000", kMaxReadBytes));
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

int note(const Session& session, const Options& options) {
  client::LabelChange change;
  if (options.given) {
    change.note = options.text;
    if (options.text == "-") {
      const auto text = read_text(session.environment.in);
      if (!text.ok()) return session.fail(text.status());
      change.note = *text;
    }
  }
  auto client = session.connect();
  if (!client.ok()) return session.fail(client.status());
  v1::Job job;
  if (change.note) {
    auto changed = client->label(options.job, change);
    if (!changed.ok()) return session.fail(changed.status());
    job = *std::move(changed);
  } else {
    auto details = client->get(options.job);
    if (!details.ok()) return session.fail(details.status());
    job = std::move(*details->mutable_job());
  }
  if (options.json) {
    print_json(session.out(), job_json(job));
  } else if (job.note().empty()) {
    session.out() << printable(job_title(job)) << " has no note.\n";
  } else if (!change.note) {
    print_lines(session.out(), job.note());
  } else {
    session.out() << "Noted: " << printable(job_title(job)) << '\n';
  }
  return kExitOk;
}

}  // namespace

void add_note(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "note",
       .summary = "Show or write the note of a job",
       .about = "Shows the job's note, or replaces it by TEXT: - reads standard input, an empty "
                "text removes it. A note has up to 8,000 bytes; `lctl status` shows it, and "
                "`lctl list --search` finds its words.",
       .examples = "  lctl note @last\n"
                   "  lctl note @last 'best so far; try a larger lr'\n"
                   "  lctl note digits-mlp - < findings.txt\n"
                   "  lctl note @last ''"});
  add_job(command, options->job)->required();
  command
      ->add_option_function<std::string>(
          "TEXT",
          [options](const std::string& text) {
            options->text = text;
            options->given = true;
          },
          "The new note; - reads it from standard input")
      ->type_name("");
  add_json(command, options->json);
  run_with(command, session, options, note);
}

}  // namespace lctl::cli
