// lctl __complete: the candidates for a command line that is being typed. Hidden: completion
// scripts call it. Its words are another command line, so it is not parsed as a command.
#include "client/cli/commands/commands.h"
#include "client/cli/completer.h"

namespace lctl::cli {

int run_complete(const CLI::App& program, const Session& session, std::vector<std::string> words) {
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  if (words.empty()) words.emplace_back();
  const Candidates candidates = complete(program, session, words);
  for (const Candidate& candidate : candidates.words) {
    session.out() << candidate.word;
    if (!candidate.about.empty()) session.out() << '\t' << candidate.about;
    session.out() << '\n';
  }
  if (candidates.files) session.out() << ":files\n";
  return kExitOk;
}

}  // namespace lctl::cli
