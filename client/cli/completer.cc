#include "client/cli/completer.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "client/cli/job_text.h"
#include "client/cli/terminal/text.h"
#include "jobspec/keys/key_table.h"

namespace lctl::cli {
namespace {

constexpr int kJobsAsked = 200;

// Where the cursor is: in which command, behind which positionals, after which option.
struct Place {
  const CLI::App* command = nullptr;
  std::vector<std::string> positionals;   // of that command, before the cursor
  const CLI::Option* value_of = nullptr;  // the cursor is at the value of this option
  std::string server;                     // of a --server before the cursor; "" = none
};

// "--state" of "--state=run"; the option of that name in the command or above it.
const CLI::Option* option_named(const CLI::App* command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  if (name.size() < 2 || name.front() != '-') return nullptr;
  for (; command != nullptr; command = command->get_parent()) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->check_name(name)) return option;
    }
  }
  return nullptr;
}

bool takes_value(const CLI::Option* option) {
  return option != nullptr && option->get_items_expected_min() > 0;
}

const CLI::App* child_named(const CLI::App* command, const std::string& name) {
  for (const CLI::App* child : command->get_subcommands(nullptr)) {
    if (child->get_name() == name) return child;
  }
  return nullptr;
}

Place find_place(const CLI::App& program, const std::vector<std::string>& words) {
  Place place{.command = &program};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.empty() && word.front() == '-') {
      const CLI::Option* option = option_named(place.command, word);
      if (!takes_value(option)) continue;
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos && i + 2 == words.size()) {
        place.value_of = option;
      } else {
        const std::string value =
            equals == std::string::npos ? words[++i] : word.substr(equals + 1);
        if (option->check_name("--server")) place.server = value;
      }
    } else if (const CLI::App* child = child_named(place.command, word)) {
      place.command = child;
    } else {
      place.positionals.push_back(word);
    }
  }
  return place;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Asks the server; every question that it does not answer at once has no answer.
class Answers {
 public:
  Answers(const Session& session, const std::string& server)
      : client_(client::Client::connect(server.empty() ? session.server : server,
                                        {.call_timeout = std::chrono::milliseconds(500),
                                         .first_patience = {},
                                         .patience = {}})) {}

  void jobs(std::vector<Candidate>& out) {
    out.push_back({"@last", "the newest job"});
    if (!client_.ok()) return;
    const auto jobs = client_->list({.limit = kJobsAsked});
    if (!jobs.ok()) return;
    std::set<std::string> names;
    for (const v1::Job& job : *jobs) {
      out.push_back({job.id(), job.spec().name() + ", " + state_name(job.state())});
      if (names.insert(job.spec().name()).second) {
        out.push_back({job.spec().name(), "newest: " + state_name(job.state())});
      }
    }
  }

  void metric_keys(const std::string& job, std::vector<Candidate>& out) {
    if (!client_.ok()) return;
    const auto metrics = client_->metrics(job);
    if (!metrics.ok()) return;
    for (const auto& metric : *metrics) out.push_back({metric.key(), ""});
  }

  // With `behind` behind each: "=" where a value follows.
  void tags(const std::string& job, const char* behind, std::vector<Candidate>& out) {
    if (!client_.ok()) return;
    const auto details = client_->get(job);
    if (!details.ok()) return;
    const auto& tags = details->job().tags();
    for (const auto& [key, value] : std::map(tags.begin(), tags.end())) {
      out.push_back({key + behind, value});
    }
  }

  void checkpoints(const std::string& job, std::vector<Candidate>& out) {
    for (const char* word : {"best", "last", "newest"}) out.push_back({word, ""});
    if (!client_.ok()) return;
    const auto checkpoints = client_->checkpoints(job);
    if (!checkpoints.ok()) return;
    for (const auto& checkpoint : *checkpoints) {
      out.push_back({checkpoint.id(), checkpoint.written().name()});
    }
  }

  void nodes(std::vector<Candidate>& out) {
    if (!client_.ok()) return;
    const auto nodes = client_->nodes();
    if (!nodes.ok()) return;
    for (const auto& node : *nodes) out.push_back({node.name(), node_state_name(node.state())});
  }

  void experiments(std::vector<Candidate>& out) {
    if (!client_.ok()) return;
    const auto experiments = client_->experiments();
    if (!experiments.ok()) return;
    for (const auto& experiment : *experiments) out.push_back({experiment.name(), ""});
  }

 private:
  absl::StatusOr<client::Client> client_;
};

// "--trainer.max_epochs=" and so on; sections end with "." while they are typed.
void override_keys(const std::string& typed, std::vector<Candidate>& out) {
  for (const auto& key : jobspec::keys::section("").arguments) {
    const std::string top = "--" + std::string(key.name);
    const bool leaf = key.name == "seed_everything" || key.name == "ckpt_path";
    if (typed.rfind(top + ".", 0) != 0) {
      out.push_back({top + (leaf ? "=" : "."), std::string(key.about)});
    }
  }
  for (const std::string path : {"trainer", "job", "job.resources", "job.retention"}) {
    if (typed.rfind("--" + path + ".", 0) != 0) continue;
    for (const auto& key : jobspec::keys::section(path).arguments) {
      const bool section = key.type == "section";
      out.push_back({"--" + path + "." + std::string(key.name) + (section ? "." : "="),
                     std::string(key.about)});
    }
  }
  for (const std::string section : {"model", "data", "optimizer", "lr_scheduler"}) {
    if (typed.rfind("--" + section + ".", 0) != 0) continue;
    out.push_back({"--" + section + ".class_path=", "which class"});
    out.push_back({"--" + section + ".init_args.", "its arguments"});
  }
}

void option_names(const CLI::App* command, const std::string& typed, std::vector<Candidate>& out) {
  const bool takes_file = command->get_name() == "submit" || command->get_name() == "run";
  for (const CLI::App* at = command; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      if (option->get_positional() || option->get_group().empty()) continue;
      if (at != command && option->check_name("--version")) continue;
      for (const std::string& name : option->get_lnames()) {
        out.push_back({"--" + name, option->get_description()});
      }
    }
  }
  if (takes_file) override_keys(typed, out);
}

bool names_path(const std::string& value) {
  return value == "FILE" || value == "--data-dir" || value == "--output" || value == "DIR" ||
         value == "BACKUP";
}

// Values of an option or positional, known by its name.
void values(const std::string& name, const Place& place, Answers& answers, Candidates& out) {
  const std::string job = place.positionals.empty() ? "@last" : place.positionals.front();
  if (name == "JOB") answers.jobs(out.words);
  if (name == "TAG") answers.tags(job, "=", out.words);
  if (name == "--remove") answers.tags(job, "", out.words);
  if (name == "--sort" || name == "--show") {
    for (const char* key : {"name", "submit_time", "start_time", "end_time"}) {
      out.words.push_back({key, ""});
    }
    answers.metric_keys(job, out.words);
  }
  if (name == "KEY") answers.metric_keys(job, out.words);
  if (name == "NODE") answers.nodes(out.words);
  if (name == "--checkpoint") answers.checkpoints(job, out.words);
  if (name == "--experiment") answers.experiments(out.words);
  if (name == "--state") {
    for (const v1::JobState state : all_states()) out.words.push_back({state_name(state), ""});
  }
  if (name == "FAULT") {
    for (const char* fault : {"kill-rank", "hang", "preempt", "partition", "corrupt-checkpoint"}) {
      out.words.push_back({fault, ""});
    }
  }
  if (name == "SHELL") {
    for (const char* shell : {"bash", "zsh", "fish"}) out.words.push_back({shell, ""});
  }
  out.files = names_path(name);
}

std::string name_of(const CLI::Option* option) {
  if (!option->get_lnames().empty()) return "--" + option->get_lnames().front();
  return option->get_name(/*positional=*/true);
}

// The positional at the cursor; the last one may take several.
const CLI::Option* positional_at(const Place& place) {
  std::vector<const CLI::Option*> positionals;
  for (const CLI::Option* option : place.command->get_options()) {
    if (option->get_positional()) positionals.push_back(option);
  }
  if (positionals.empty()) return nullptr;
  if (place.positionals.size() < positionals.size()) return positionals[place.positionals.size()];
  return positionals.back()->get_items_expected_max() > 1 ? positionals.back() : nullptr;
}

}  // namespace

Candidates complete(const CLI::App& program, const Session& session,
                    const std::vector<std::string>& words) {
  const Place place = find_place(program, words);
  const std::string typed = words.empty() ? "" : words.back();
  Answers answers(session, place.server);
  Candidates all;
  std::string prefix;  // of an option whose value is typed behind '='
  if (place.value_of != nullptr) {
    values(name_of(place.value_of), place, answers, all);
  } else if (const std::size_t equals = typed.find('=');
             equals != std::string::npos && takes_value(option_named(place.command, typed))) {
    prefix = typed.substr(0, equals + 1);
    values(name_of(option_named(place.command, typed)), place, answers, all);
  } else if (!typed.empty() && typed.front() == '-') {
    option_names(place.command, typed, all.words);
  } else {
    for (const CLI::App* child : place.command->get_subcommands(nullptr)) {
      if (child->get_group().empty()) continue;  // hidden
      all.words.push_back({child->get_name(), first_line(child->get_description())});
    }
    if (const CLI::Option* positional = positional_at(place)) {
      values(name_of(positional), place, answers, all);
    }
  }
  Candidates fitting{.files = all.files};
  for (Candidate& candidate : all.words) {
    candidate.word = prefix + candidate.word;
    // Names come from outside: nothing that a shell would see as several words.
    if (printable(candidate.word) != candidate.word || candidate.word.empty()) continue;
    if (candidate.word.find(' ') != std::string::npos) continue;
    candidate.about = printable(candidate.about);
    if (candidate.word.rfind(typed, 0) == 0) fitting.words.push_back(std::move(candidate));
  }
  return fitting;
}

}  // namespace lctl::cli
