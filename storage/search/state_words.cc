#include "storage/search/state_words.h"

#include <utility>

#include "storage/search/filter_tokens.h"

namespace lctl::storage {
namespace {

constexpr std::string_view kPrefix = "JOB_STATE_";

// v1.JobState has no gaps.
Texts our_states() {
  Texts names;
  for (int state = v1::JOB_STATE_QUEUED; v1::JobState_IsValid(state); ++state) {
    names.push_back(state_name(static_cast<v1::JobState>(state)));
  }
  return names;
}

}  // namespace

std::string state_name(v1::JobState state) {
  const std::string& name = v1::JobState_Name(state);
  return name.size() > kPrefix.size() ? name.substr(kPrefix.size()) : std::string();
}

Texts states_of_word(std::string_view word, bool as_mlflow) {
  const std::string upper = upper_case(word);
  if (upper == "FINISHED") return {"SUCCEEDED"};
  if (upper == "KILLED") return {"STOPPED"};
  if (upper == "SCHEDULED") return {"QUEUED", "STARTING"};
  if (upper == "RUNNING" && as_mlflow) return {"RUNNING", "STOPPING"};
  for (std::string& name : our_states()) {
    if (name == upper) return {std::move(name)};
  }
  return {};
}

std::string state_names() {
  std::string all;
  for (const std::string& name : our_states()) all += (all.empty() ? "" : ", ") + name;
  return all;
}

}  // namespace lctl::storage
