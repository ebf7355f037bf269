// lctl __complete: the candidates for a command line that is being typed. Hidden: completion
// scripts call it.
#include "client/cli/commands/commands.h"
#include "client/cli/completer.h"

namespace lctl::cli {
namespace {

struct Options {
  std::vector<std::string> words;
  const CLI::App* program = nullptr;
};

int complete_words(const Session& session, const Options& options) {
  const Candidates candidates = complete(*options.program, session, options.words);
  for (const Candidate& candidate : candidates.words) {
    session.out() << candidate.word;
    if (!candidate.about.empty()) session.out() << '\t' << candidate.about;
    session.out() << '\n';
  }
  if (candidates.files) session.out() << ":files\n";
  return kExitOk;
}

}  // namespace

void add_complete(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  options->program = &program;
  CLI::App* command = program.add_subcommand("__complete", "Candidates for completion scripts");
  command->group("");
  command->prefix_command();
  command->callback([command, &session, options] {
    options->words = command->remaining();
    if (!options->words.empty() && options->words.front() == "--") {
      options->words.erase(options->words.begin());
    }
    if (options->words.empty()) options->words.emplace_back();
    session.action = [&session, options] { return complete_words(session, *options); };
  });
}

}  // namespace lctl::cli
