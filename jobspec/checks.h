// Holds values against the key table's cells: types, bounds, choices, and what this version can do.
#pragma once

#include <string>
#include <string_view>

#include "jobspec/error.h"
#include "jobspec/keys/key_table.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// True when null is a value of its own for the argument.
bool is_nullable(const keys::Argument& argument);

// True for values that are trees of further classes or sections (layers, callbacks, …): their own
// code checks them.
bool is_structure(const keys::Argument& argument);

// "int, list of int or null": the type cell in words.
std::string describe_type(std::string_view type);

// One value against one row. `key` is its full path.
void check_value(const keys::Argument& argument, const Value& value, const std::string& key,
                 bool check_available, Findings& findings);

// A map against a class: unknown keys (with the nearest known one), every value, missing arguments.
// `where` is the place to name for a missing one. False when something is wrong.
bool check_arguments(const keys::Class& table, const Value& given, const std::string& key,
                     const Location& where, bool check_available, Findings& findings);

// The finding "unknown key", with the nearest of `known` and the list of them.
void add_unknown_key(const Value::Entry& entry, const std::string& key,
                     const std::vector<std::string_view>& known, Findings& findings);

// "an optimizer", "a callback"
std::string with_article(std::string_view noun);

// "a, b, c"
std::string join_names(const std::vector<std::string_view>& names);

}  // namespace lctl::jobspec
