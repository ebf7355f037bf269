// Tags of MLflow's clients that stand for what every job has of its own.
#pragma once

#include <string_view>

namespace lctl::storage {

inline constexpr std::string_view kNameTag = "mlflow.runName";       // the job's name
inline constexpr std::string_view kNoteTag = "mlflow.note.content";  // its note
inline constexpr std::string_view kUserTag = "mlflow.user";          // who submitted it

}  // namespace lctl::storage
