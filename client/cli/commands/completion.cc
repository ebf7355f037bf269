// lctl completion: what a shell needs to complete lctl's words. All the knowledge is in
// `lctl __complete`; the scripts only carry words and answers.
#include <fmt/format.h>

#include "client/cli/commands/commands.h"

namespace lctl::cli {
namespace {

// __complete prints one candidate a line, "word<TAB>about", then a line ":files" where file names
// fit too.
constexpr char kBash[] = R"(# bash completion of lctl. Use: source <(lctl completion bash)
_lctl() {
  # Words as the shell splits them at blanks: ':' and '=' belong to them.
  local line="${COMP_LINE:0:COMP_POINT}" words current files= candidate
  read -r -a words <<< "$line"
  current="${words[${#words[@]}-1]}"
  if [[ "$line" == *[[:space:]] ]]; then current=; words+=(""); fi
  COMPREPLY=()
  while IFS= read -r candidate; do
    if [[ "$candidate" == ":files" ]]; then files=1; continue; fi
    COMPREPLY+=("${candidate%%$'\t'*}")
  done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
  if [[ -n "$files" ]]; then
    while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done \
      < <(compgen -f -- "$current")
    compopt -o filenames 2>/dev/null
  fi
  # bash replaces only what is behind the last ':' or '='.
  local prefix="${current%"${current##*[:=]}"}"
  if [[ -n "$prefix" ]]; then
    local i
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]="${COMPREPLY[i]#"$prefix"}"; done
  fi
  if [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=.] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _lctl lctl
)";

constexpr char kZsh[] = R"(#compdef lctl
# zsh completion of lctl. Use: source <(lctl completion zsh), or a file _lctl in $fpath
_lctl() {
  local line files=
  local -a plain described open
  while IFS= read -r line; do
    if [[ "$line" == ":files" ]]; then files=1; continue; fi
    local word="${line%%$'\t'*}" about=
    [[ "$line" == *$'\t'* ]] && about="${line#*$'\t'}"
    if [[ "$word" == *[=.] ]]; then
      open+=("$word")
    else
      plain+=("$word")
      described+=("${word}${about:+  -- $about}")
    fi
  done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( ${#plain} )) && compadd -l -d described -a plain
  (( ${#open} )) && compadd -S '' -a open
  [[ -n "$files" ]] && _files
}
# Sourced, or read as the file _lctl at the first completion?
if [[ "${funcstack[1]}" == _lctl ]]; then _lctl "$@"; else compdef _lctl lctl; fi
)";

constexpr char kFish[] = R"(# fish completion of lctl. Use: lctl completion fish | source
function __lctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answers ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    for answer in $answers
        if test "$answer" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $answer
        end
    end
end
complete -c lctl -f -a '(__lctl_complete)'
)";

struct Options {
  std::string shell;
};

int completion(const Session& session, const Options& options) {
  session.out() << (options.shell == "bash" ? kBash : options.shell == "zsh" ? kZsh : kFish);
  return kExitOk;
}

}  // namespace

void add_completion(CLI::App& program, Session& session) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      program,
      {.name = "completion",
       .summary = "Print a script that completes words in your shell",
       .about = "Prints a script for bash, zsh or fish. It completes commands, options, job ids "
                "and names, metric keys, checkpoints, experiments and the dotted keys of a job "
                "file; jobs are asked from the server, which has half a second to answer.",
       .examples =
           "  source <(lctl completion bash)         for this shell; or put it in ~/.bashrc\n"
           "  source <(lctl completion zsh)          after compinit, in ~/.zshrc\n"
           "  lctl completion fish > ~/.config/fish/completions/lctl.fish"});
  command->add_option("SHELL", options->shell, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  run_with(command, session, options, completion);
}

}  // namespace lctl::cli
