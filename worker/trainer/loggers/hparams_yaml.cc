#include "worker/trainer/loggers/hparams_yaml.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

// Texts that PyYAML would read back as something else, or not at all, are quoted.
bool needs_quotes(const std::string& text) {
  static const std::vector<std::string> kWords = {
      "null", "Null", "NULL", "~",  "true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes",
      "YES",  "no",   "No",   "NO", "on",   "On",   "ON",   "off",   "Off",   "OFF",   "="};
  if (text.empty() || std::find(kWords.begin(), kWords.end(), text) != kWords.end()) return true;
  if (text.find_first_of("{}[],&*!|>%@`'\"#") == 0) return true;
  if (text.find(": ") != std::string::npos || text.find(" #") != std::string::npos ||
      text.back() == ':' || text.find('\n') != std::string::npos || text.front() == ' ' ||
      text.back() == ' ') {
    return true;
  }
  if ((text.front() == '-' || text.front() == '?') && (text.size() == 1 || text[1] == ' '))
    return true;
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return *end == '\0';
}

std::string single_quoted(const std::string& text) {
  std::string result = "'";
  for (const char character : text) {
    result.push_back(character);
    if (character == '\'') result.push_back('\'');
    if (character == '\n') result += "\n";  // a blank line stands for a line break
  }
  return result + "'";
}

std::string number(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = python_repr(value);
  // PyYAML's floats need a point: 1e-05 would read back as a string.
  const std::size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos)
    text.insert(exponent, ".0");
  return text;
}

std::string scalar(const Value& value) {
  if (value.is_none()) return "null";
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_double()) return number(value.as_double());
  return needs_quotes(value.as_string()) ? single_quoted(value.as_string()) : value.as_string();
}

std::string key_text(const Value& key) { return scalar(key); }

void write_dict(const Dict& dict, int indent, bool first_inline, std::string& out);

const List* items_of(const Value& value) {
  if (value.is_list()) return &value.as_list();
  return value.is_tuple() ? &value.as_tuple().items : nullptr;
}

// Writes what stands behind "key:" or "-"; `indent` is that of the key.
void write_value(const Value& value, int indent, bool in_list, std::string& out) {
  if (const List* items = items_of(value); items != nullptr) {
    if (items->empty()) {
      out += " []\n";
      return;
    }
    if (value.is_tuple()) out += " !!python/tuple";
    bool inline_next = in_list && !value.is_tuple();
    if (!inline_next) out += "\n";
    const int at = in_list ? indent + 2 : indent;
    for (const Value& item : *items) {
      out += inline_next ? std::string(" ") : std::string(static_cast<std::size_t>(at), ' ');
      inline_next = false;
      out += "-";
      write_value(item, at, true, out);
    }
  } else if (value.is_dict()) {
    if (value.as_dict().size() == 0) {
      out += " {}\n";
      return;
    }
    out += in_list ? " " : "\n";
    write_dict(value.as_dict(), indent + 2, in_list, out);
  } else {
    out += " " + scalar(value) + "\n";
  }
}

void write_dict(const Dict& dict, int indent, bool first_inline, std::string& out) {
  std::vector<const Dict::Entry*> entries;
  for (const Dict::Entry& entry : dict.entries()) {
    if (!entry.value.is_tensor()) entries.push_back(&entry);
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto* a, const auto* b) { return key_text(a->key) < key_text(b->key); });
  for (const Dict::Entry* entry : entries) {
    if (!first_inline) out += std::string(static_cast<std::size_t>(indent), ' ');
    first_inline = false;
    out += key_text(entry->key) + ":";
    write_value(entry->value, indent, false, out);
  }
}

}  // namespace

std::string hparams_yaml(const Dict& hparams) {
  if (hparams.size() == 0) return "{}\n";
  std::string out;
  write_dict(hparams, 0, false, out);
  return out;
}

}  // namespace lctl
