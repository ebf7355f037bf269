#include "client/cli/source/working_tree.h"

#include <utility>
#include <vector>

#include "client/cli/local_cluster/captured_output.h"

namespace lctl::cli {
namespace {

constexpr std::size_t kMaxDiff = 1 << 20;
constexpr std::size_t kMostRead = 64 << 20;
constexpr std::size_t kMaxText = 4096;
constexpr int kMaxUntracked = 100;
constexpr std::string_view kFile = "diff --git ";

// Runs git on one folder.
class Git {
 public:
  explicit Git(std::string folder) : folder_(std::move(folder)) {}

  // What it printed; nullopt when it failed.
  std::optional<std::string> operator()(std::vector<std::string> words) const {
    std::vector<std::string> command = {"git", "--no-optional-locks", "-C", folder_,
                                        "-c",  "core.fsmonitor=false"};
    command.insert(command.end(), words.begin(), words.end());
    auto output = captured_output(std::move(command), /*show_errors=*/false, kMostRead);
    if (!output.ok() || output->exit_code != 0) return std::nullopt;
    return std::move(output->text);
  }

  // Its first line; "" when it failed.
  std::string line(std::vector<std::string> words) const {
    std::string text = (*this)(std::move(words)).value_or("");
    text.resize(std::min(text.find('\n'), text.size()));
    return text.size() > kMaxText ? "" : text;
  }

 private:
  std::string folder_;
};

std::string remote_of(const Git& git, const std::string& branch) {
  std::string name = branch.empty() ? "" : git.line({"config", "branch." + branch + ".remote"});
  if (name.empty() || name == ".") name = "origin";
  return without_password(git.line({"config", "remote." + name + ".url"}));
}

// Of a list in which each name ends with a zero byte.
template <typename Fn>
void each_name(std::string_view names, const Fn& fn) {
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find('\0'));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    fn(name);
  }
}

void add_untracked(std::string_view names, v1::SourceCode& source) {
  each_name(names, [&](std::string_view name) {
    source.set_untracked_count(source.untracked_count() + 1);
    if (source.untracked_size() < kMaxUntracked && name.size() <= kMaxText)
      source.add_untracked(std::string(name));
  });
}

void add_diff(const Git& git, v1::SourceCode& source) {
  const auto names = git({"diff", "--name-only", "--no-ext-diff", "-z", "HEAD", "--"});
  if (!names) return;
  source.set_changed(!names->empty());
  std::vector<std::string> words = {"diff",
                                    "--binary",
                                    "--no-color",
                                    "--no-ext-diff",
                                    "--no-textconv",
                                    "--src-prefix=a/",
                                    "--dst-prefix=b/",
                                    "HEAD",
                                    "--",
                                    "."};
  // Changed files that are too large to keep are not even looked at: git would compress them first.
  int large = 0;
  const std::filesystem::path root = source.folder();
  each_name(*names, [&](std::string_view name) {
    std::error_code ignored;
    const auto size = std::filesystem::file_size(root / std::string(name), ignored);
    if (ignored || size <= kMaxDiff) return;
    ++large;
    words.push_back(":(top,exclude,literal)" + std::string(name));
  });
  const auto diff = git(std::move(words));
  if (!diff) return;
  FittingDiff fitting = fitting_diff(*diff, kMaxDiff);
  // What was read up to the limit ends somewhere inside of a file's change.
  if (diff->size() >= kMostRead) ++fitting.files_left_out;
  source.set_diff(std::move(fitting.text));
  source.set_files_left_out(fitting.files_left_out + large);
}

}  // namespace

std::optional<v1::SourceCode> read_working_tree(const std::filesystem::path& folder) {
  v1::SourceCode source;
  source.set_folder(Git(folder.string()).line({"rev-parse", "--show-toplevel"}));
  if (source.folder().empty()) return std::nullopt;
  const Git git(source.folder());
  source.set_commit(git.line({"rev-parse", "--verify", "HEAD"}));
  source.set_branch(git.line({"symbolic-ref", "--short", "HEAD"}));
  source.set_remote(remote_of(git, source.branch()));
  if (auto names = git({"ls-files", "--others", "--exclude-standard", "--directory",
                        "--no-empty-directory", "-z"}))
    add_untracked(*names, source);
  if (!source.commit().empty()) add_diff(git, source);
  return source;
}

std::string without_password(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);  // git@host:path, a folder
  const std::size_t begin = scheme + 3;
  const std::size_t end = std::min(url.find('/', begin), url.size());
  const std::size_t at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  std::string_view user = url.substr(begin, at - begin);
  user = url.starts_with("http") ? "" : user.substr(0, user.find(':'));
  std::string text(url.substr(0, begin));
  if (!user.empty()) text.append(user).append("@");
  return text.append(url.substr(at + 1));
}

FittingDiff fitting_diff(std::string_view diff, std::size_t limit) {
  FittingDiff fitting;
  while (!diff.empty()) {
    // Lines of a change begin with another character: this one is a file's first.
    const std::size_t next = diff.find(std::string("\n").append(kFile), 1);
    const std::string_view file = diff.substr(0, next == std::string_view::npos ? next : next + 1);
    diff.remove_prefix(file.size());
    if (fitting.text.size() + file.size() <= limit) {
      fitting.text.append(file);
    } else {
      ++fitting.files_left_out;
    }
  }
  return fitting;
}

}  // namespace lctl::cli
