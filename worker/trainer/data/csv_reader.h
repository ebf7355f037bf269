// Numbers out of CSV text.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lctl {

struct CsvTable {
  std::vector<std::string> columns;  // of the header
  at::Tensor values;                 // float32 [rows, columns]
};

// The bytes of a file, inflated when its name ends in .gz. Throws std::runtime_error naming the
// file.
std::string read_possibly_compressed(const std::string& path);

// Parses a header and numeric rows; at most `max_rows`. Fields may be quoted; empty lines at the
// end are allowed. "nan" and "inf" are numbers. Throws std::runtime_error "<name>:<line>: column
// '<c>': …".
CsvTable parse_csv(std::string_view text, const std::string& name,
                   std::optional<std::int64_t> max_rows);

}  // namespace lctl
