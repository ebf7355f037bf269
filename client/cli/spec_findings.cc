#include "client/cli/spec_findings.h"

#include <algorithm>
#include <cctype>

#include "base/status.h"
#include "client/cli/terminal/human.h"
#include "client/cli/terminal/text.h"

namespace lctl::cli {
namespace {

// Behind "FILE:LINE:" or "--override=VALUE:" (which may hold colons itself: its ": " ends it).
std::size_t place_end(std::string_view line) {
  const std::size_t end = line.find(": ");
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

std::string paint_finding(std::string_view line, const Look& look) {
  std::string text = printable(line);
  // All known names are many lines; with the right one at hand they only hide it.
  if (const std::size_t names = text.find("`? known "); names != std::string::npos) {
    text.erase(names + 2);
  }
  const std::size_t place = place_end(text);
  if (place == 0) return text;
  std::string out = look.paint(Tone::kBold, text.substr(0, place));
  std::string rest = text.substr(place);
  const std::size_t key = rest.find(": ", 1);
  if (key != std::string::npos && rest.substr(1, key - 1).find(' ') == std::string::npos) {
    out += " " + look.paint(Tone::kAccent, rest.substr(1, key - 1)) + ":";
    rest.erase(0, key + 1);
  }
  constexpr std::string_view kSuggestion = "did you mean `";
  const std::size_t suggestion = rest.find(kSuggestion);
  if (suggestion == std::string::npos) return out + rest;
  const std::size_t end = rest.find('`', suggestion + kSuggestion.size());
  if (end == std::string::npos) return out + rest;
  return out + rest.substr(0, suggestion) +
         look.paint(Tone::kGood, rest.substr(suggestion, end + 1 - suggestion)) +
         rest.substr(end + 1);
}

int report_findings(const Session& session, const absl::Status& status,
                    std::string_view consequence) {
  if (!absl::IsInvalidArgument(status)) {
    session.fail(status);
    // A job file that cannot be read is the user's mistake, as a wrong one is.
    return absl::IsUnavailable(status) ? kExitUnreachable : kExitUsage;
  }
  std::string_view rest = message_of(status);
  std::int64_t count = 0;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    session.err() << paint_finding(rest.substr(0, end), session.environment.err_look) << '\n';
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++count;
  }
  session.err() << session.environment.err_look.paint(Tone::kBad, "lctl:") << ' '
                << counted(count, "mistake", "mistakes") << " in the job; " << consequence << "\n"
                << std::flush;
  return kExitUsage;
}

}  // namespace lctl::cli
