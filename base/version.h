// The version that every program prints and that the server and its workers compare.
#pragma once

namespace lctl {

// Semantic version of the whole project.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace lctl
