// A table of plain text that fits the terminal: the right column is cut first.
#pragma once

#include <string>
#include <vector>

#include "client/cli/terminal/look.h"

namespace lctl::cli {

struct Column {
  std::string title;
  bool right_aligned = false;
};

struct Cell {
  std::string text;  // made printable by the table
  Tone tone = Tone::kPlain;

  Cell(std::string text_in, Tone tone_in = Tone::kPlain)  // NOLINT: cells are written as strings
      : text(std::move(text_in)), tone(tone_in) {}
  Cell(const char* text_in) : text(text_in) {}  // NOLINT
};

// Thread rule: caller locks.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns (LCTL_CHECK).
  void add(std::vector<Cell> cells);
  bool empty() const { return rows_.empty(); }

  // Title line and rows, each ended by '\n', none wider than the look. When even a right column of
  // eight columns is too much, the others are cut from the right, none below its title or four.
  std::string render(const Look& look) const;

 private:
  std::vector<int> widths(const Look& look) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// Lines of "name   value" with aligned values; long values are wrapped beneath themselves.
class Facts {
 public:
  // Left out when the value is empty.
  void add(std::string name, std::string value, Tone tone = Tone::kPlain);
  std::string render(const Look& look) const;

 private:
  struct Fact {
    std::string name;
    std::string value;
    Tone tone;
  };
  std::vector<Fact> facts_;
};

}  // namespace lctl::cli
