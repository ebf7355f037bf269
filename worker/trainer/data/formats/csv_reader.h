// Numbers out of CSV text.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/data/bad_sample.h"

namespace lctl {

struct CsvTable {
  std::vector<std::string> columns;         // of the header
  at::Tensor values;                        // float32 [rows, columns]
  std::vector<std::int64_t> skipped_lines;  // of bad rows that were left out, ascending

  // Where row `row` of `values` stands in the file; the header is line 1.
  std::int64_t line_of(std::int64_t row) const;
};

// What is read, and which rows are bad. Always bad: an empty or non-numeric cell, a number that no
// double can hold, too few or too many cells, an empty line before other rows.
struct CsvParsing {
  std::optional<std::int64_t> max_rows = std::nullopt;  // the first ones of the file, bad ones too
  bool finite = false;                // NaN and infinities (also as float32) make a row bad, too
  SkippedSamples* skipped = nullptr;  // null: a bad row is an error; else left out and counted
  std::size_t piece_size = 1 << 20;   // bytes that one thread parses at a time
};

// Parses a header and numeric rows, on as many threads as torch has. Fields may be quoted; empty
// lines at the end are allowed. "nan" and "inf" are numbers. Cells are read as double and rounded
// to float32, as pandas and torch do. Throws BadSample "<name>:<line>: column '<c>': …" for the
// first bad row, for a file without a header or rows, and when all rows are bad.
CsvTable parse_csv(std::string_view text, const std::string& name, const CsvParsing& parsing = {});

// The same for a file, which may be gzip's. Throws std::runtime_error when it cannot be read.
CsvTable read_csv(const std::string& path, const CsvParsing& parsing = {});

}  // namespace lctl
