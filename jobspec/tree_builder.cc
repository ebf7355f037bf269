#include "jobspec/tree_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobspec/scalar.h"

namespace lctl::jobspec {

TreeBuilder::TreeBuilder(std::shared_ptr<const std::string> source, bool has_lines,
                         Findings& findings, const ReadLimits& limits)
    : source_(std::move(source)), has_lines_(has_lines), findings_(findings), limits_(limits) {}

Location TreeBuilder::at(const YAML::Mark& mark) const {
  if (!has_lines_ || mark.is_null()) return {source_, 0, 0};
  return {source_, mark.line + 1, mark.column + 1};
}

std::string TreeBuilder::path() const {
  std::string key;
  for (const Open& open : open_) {
    if (open.value.is_list()) {
      key = join_key(key, open.value.list().size());
    } else if (!open.key_is_next) {
      key = join_key(key, open.merge_is_next ? "<<" : open.entry.key);
    }
  }
  return key;
}

void TreeBuilder::spend(const Cost& cost, const Location& where) {
  nodes_ += cost.nodes;
  bytes_ += cost.bytes;
  if (nodes_ > limits_.nodes) {
    throw LimitExceeded(fmt::format("more than {} values (aliases count each time)", limits_.nodes),
                        where);
  }
  if (bytes_ > 4 * limits_.bytes) {
    throw LimitExceeded(fmt::format("more than {} bytes of text after aliases", 4 * limits_.bytes),
                        where);
  }
  if (static_cast<int>(open_.size()) + cost.depth > limits_.depth) {
    throw LimitExceeded(fmt::format("more than {} levels of lists and maps", limits_.depth), where);
  }
}

void TreeBuilder::check_tag(const std::string& tag, const Location& where) {
  if (tag.empty() || tag == "?" || tag == "!") return;
  findings_.add(where, path(),
                fmt::format("the YAML tag `{}` is not allowed here", Value(tag).preview(120)),
                "write the value without a tag; put quotes around a text that looks like a number");
}

void TreeBuilder::OnDocumentStart(const YAML::Mark& mark) {
  if (++documents_ == 2) {
    findings_.add(at(mark), "", "a second YAML document starts here",
                  "a job file is one document: remove the `---` and what follows");
  }
}

void TreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Location where = at(mark);
  spend({}, where);
  if (refuse_as_key(where)) return;
  place(Value::null(where), {}, anchor);
}

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Location where = at(mark);
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end()) {
    throw LimitExceeded("an alias stands inside the value that it names", where,
                        "write out what it should be");
  }
  spend(found->second.cost, where);
  if (refuse_as_key(where)) return;
  place(found->second.value, found->second.cost, 0);
}

void TreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& text) {
  const Location where = at(mark);
  const Cost cost{.nodes = 1, .bytes = text.size()};
  spend(cost, where);
  check_tag(tag, where);
  const bool plain = tag == "?";
  if (text.find('\0') != std::string::npos) {
    findings_.add(where, path(), "a text with a NUL character", "remove it");
  }
  if (!open_.empty() && open_.back().value.is_map() && open_.back().key_is_next) {
    place_key(text, plain, where);
    return;
  }
  Value value(text, where);
  if (plain) {
    const std::string value_text = value.preview();
    const Scalar scalar = resolve_plain_scalar(text);
    if (std::holds_alternative<std::monostate>(scalar)) value = Value::null(where);
    if (const auto* v = std::get_if<bool>(&scalar)) value = Value(*v, where);
    if (const auto* v = std::get_if<std::int64_t>(&scalar)) value = Value(*v, where);
    if (const auto* v = std::get_if<double>(&scalar)) value = Value(*v, where);
    if (std::holds_alternative<NumberTooLarge>(scalar)) {
      findings_.add(where, path(), fmt::format("the number `{}` is out of range", value_text),
                    "expected an int of 64 bits or a double");
    }
    if (is_base_60(text)) {
      findings_.add(where, path(),
                    fmt::format("YAML reads `{}` as a number in base 60", value_text),
                    "put quotes around it when it is a time");
    }
    if (value.is_int()) {
      if (is_base_8(text)) {
        findings_.add(where, path(),
                      fmt::format("YAML reads `{}` as a number in base 8", value_text),
                      "remove the zeros in front, or put quotes around it when it is a text");
      }
      value.set_respelled(text != std::to_string(value.as_int()));
    }
  }
  place(std::move(value), cost, anchor);
}

void TreeBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                  YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  open(Value(Value::List{}, at(mark)), mark, tag, anchor);
}

void TreeBuilder::OnSequenceEnd() { close(); }

void TreeBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                             YAML::EmitterStyle::value /*style*/) {
  open(Value::empty_map(at(mark)), mark, tag, anchor);
  open_.back().key_is_next = true;
}

void TreeBuilder::OnMapEnd() {
  if (!open_.back().merged.empty()) merge(open_.back());
  close();
}

void TreeBuilder::open(Value value, const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor) {
  const Location where = at(mark);
  check_tag(tag, where);
  Open next;
  next.value = std::move(value);
  next.anchor = anchor;
  open_.push_back(std::move(next));
  spend({}, where);
}

void TreeBuilder::close() {
  Open done = std::move(open_.back());
  open_.pop_back();
  done.cost.depth += 1;
  if (refuse_as_key(done.value.location())) return;
  place(std::move(done.value), done.cost, done.anchor);
}

void TreeBuilder::place(Value value, const Cost& cost, YAML::anchor_t anchor) {
  if (anchor != 0) {
    spend(cost, value.location());
    anchors_[anchor] = {value, cost};
  }
  if (open_.empty()) {
    if (documents_ < 2) root_ = std::move(value);
    return;
  }
  Open& parent = open_.back();
  parent.cost.nodes += cost.nodes;
  parent.cost.bytes += cost.bytes;
  parent.cost.depth = std::max(parent.cost.depth, cost.depth);
  if (parent.value.is_list()) {
    parent.value.list().push_back(std::move(value));
    return;
  }
  parent.key_is_next = true;
  if (std::exchange(parent.merge_is_next, false)) {
    parent.merged.push_back(std::move(value));
    return;
  }
  parent.entry.value = std::move(value);
  parent.value.map().push_back(std::exchange(parent.entry, {}));
}

void TreeBuilder::place_key(const std::string& text, bool plain, const Location& where) {
  Open& map = open_.back();
  map.key_is_next = false;
  map.cost.bytes += text.size();
  if (text.size() > limits_.key_bytes) {
    throw LimitExceeded(fmt::format("a key of more than {} bytes", limits_.key_bytes), where);
  }
  if (plain && text == "<<") {
    map.merge_is_next = true;
    return;
  }
  map.entry = {text, where, {}};
  const auto [first, is_new] = map.lines.emplace(text, where.line);
  if (is_new) return;
  const std::string lines =
      has_lines_ ? fmt::format("; first at line {}", first->second) : std::string();
  findings_.add(where, path(), "the key is given twice" + lines, "keep one of the two");
}

bool TreeBuilder::refuse_as_key(const Location& where) {
  if (open_.empty() || !open_.back().value.is_map() || !open_.back().key_is_next) return false;
  findings_.add(where, path(), "a key that is not a plain text",
                "expected a name, as in `name: value`");
  open_.back().key_is_next = false;
  open_.back().entry = {"?", where, {}};
  return true;
}

// `<<: *defaults` and `<<: [*a, *b]`: keys that the map has itself win, then earlier entries.
void TreeBuilder::merge(Open& map) {
  std::vector<Value> sources;
  for (Value& value : map.merged) {
    if (value.is_list()) {
      for (Value& item : value.list()) sources.push_back(std::move(item));
    } else {
      sources.push_back(std::move(value));
    }
  }
  for (const Value& source : sources) {
    if (!source.is_map()) {
      findings_.add(source.location(), path(), "`<<` merges maps only",
                    "expected an alias of a map, as in `<<: *name`");
      continue;
    }
    for (const Value::Entry& entry : source.map()) {
      if (map.lines.emplace(entry.key, 0).second) map.value.map().push_back(entry);
    }
  }
}

}  // namespace lctl::jobspec
