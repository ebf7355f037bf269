// Tags of MLflow's clients that stand for what every job has of its own.
#pragma once

#include <string_view>

namespace lctl::storage {

inline constexpr std::string_view kNameTag = "mlflow.runName";       // the job's name
inline constexpr std::string_view kNoteTag = "mlflow.note.content";  // its note
inline constexpr std::string_view kUserTag = "mlflow.user";          // who submitted it

// Of the working tree that it was submitted from.
inline constexpr std::string_view kCommitTag = "mlflow.source.git.commit";
inline constexpr std::string_view kBranchTag = "mlflow.source.git.branch";
inline constexpr std::string_view kRepositoryTag = "mlflow.source.git.repoURL";

}  // namespace lctl::storage
