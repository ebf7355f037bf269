#include "jobspec/yaml_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "jobspec/scalar.h"

namespace lctl::jobspec {
namespace {

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '/' || c == '-' || c == '+';
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() < 512 && std::all_of(text.begin(), text.end(), is_word_char);
}

// Characters beyond ASCII that PyYAML takes for line ends, or refuses unless they are escaped:
// U+0080 to U+009F, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF. Empty for all others, else the escape;
// `size` is their length in UTF-8.
std::string escape_of(std::string_view text, std::size_t& size) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.size() >= 2 && byte(0) == 0xc2 && byte(1) < 0xa0) {
    size = 2;
    return fmt::format("\\x{:02x}", byte(1));
  }
  size = 3;
  const std::string_view front = text.substr(0, 3);
  if (front == "\u2028") return "\\u2028";
  if (front == "\u2029") return "\\u2029";
  if (front == "\ufeff") return "\\ufeff";
  if (front == "\xef\xbf\xbe") return "\\ufffe";
  if (front == "\xef\xbf\xbf") return "\\uffff";
  return "";
}

// Digits and signs in front could be a date or a number to other readers; dots the end of a
// document.
bool starts_like_a_name(std::string_view text) {
  return std::string_view("0123456789+-").find(text[0]) == std::string_view::npos &&
         !text.starts_with("..");
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    std::size_t size = 0;
    if (const std::string escape = byte < 0x80 ? "" : escape_of(text.substr(i), size);
        !escape.empty()) {
      out += escape;
      i += size - 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string text_scalar(std::string_view text) {
  const bool plain = is_word(text) && starts_like_a_name(text) &&
                     std::holds_alternative<PlainText>(resolve_plain_scalar(text));
  return plain ? std::string(text) : quoted(text);
}

// A key is a text whatever it looks like, so only null and the merge key need quotes.
std::string key_scalar(std::string_view key) {
  const bool plain = is_word(key) && key[0] != '-' && !key.starts_with("..") &&
                     !std::holds_alternative<std::monostate>(resolve_plain_scalar(key));
  return plain ? std::string(key) : quoted(key);
}

bool is_collection(const Value& value) {
  return (value.is_list() && !value.list().empty()) || (value.is_map() && !value.map().empty());
}

std::string scalar(const Value& value) {
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_float()) return write_float(value.as_double());
  if (value.is_string()) return text_scalar(value.as_string());
  if (value.is_list()) return "[]";
  if (value.is_map()) return "{}";
  return "null";
}

void flow(const Value& value, std::size_t limit, std::string& out) {
  if (!is_collection(value)) {
    out += scalar(value);
    return;
  }
  out += value.is_list() ? '[' : '{';
  bool first = true;
  const auto separate = [&] {
    if (!first) out += ", ";
    first = false;
    return out.size() <= limit;
  };
  if (value.is_list()) {
    for (const Value& item : value.list()) {
      if (!separate()) break;
      flow(item, limit, out);
    }
  } else {
    for (const Value::Entry& entry : value.map()) {
      if (!separate()) break;
      out += key_scalar(entry.key) + ": ";
      flow(entry.value, limit, out);
    }
  }
  out += value.is_list() ? ']' : '}';
}

bool fits_one_line(const Value& value) {
  return !is_collection(value) ||
         (value.is_list() && std::none_of(value.list().begin(), value.list().end(), is_collection));
}

void block(const Value& value, std::size_t indent, std::string& out);

void block_map(const Value& value, std::size_t indent, bool in_list_item, std::string& out) {
  bool first = true;
  for (const Value::Entry& entry : value.map()) {
    if (!(first && in_list_item)) out.append(indent, ' ');
    first = false;
    out += key_scalar(entry.key) + ":";
    if (fits_one_line(entry.value)) {
      out += " " + write_yaml_line(entry.value) + "\n";
    } else {
      out += "\n";
      block(entry.value, indent + 2, out);
    }
  }
}

void block(const Value& value, std::size_t indent, std::string& out) {
  if (value.is_map()) {
    block_map(value, indent, /*in_list_item=*/false, out);
    return;
  }
  for (const Value& item : value.list()) {
    out.append(indent, ' ');
    if (fits_one_line(item)) {
      out += "- " + write_yaml_line(item) + "\n";
    } else if (item.is_map()) {
      out += "- ";
      block_map(item, indent + 2, /*in_list_item=*/true, out);
    } else {
      out += "-\n";
      block(item, indent + 2, out);
    }
  }
}

}  // namespace

std::string write_yaml(const Value& value) {
  if (fits_one_line(value)) return write_yaml_line(value) + "\n";
  std::string out;
  block(value, 0, out);
  return out;
}

std::string write_yaml_line(const Value& value, std::size_t limit) {
  std::string out;
  flow(value, limit, out);
  return out;
}

}  // namespace lctl::jobspec
