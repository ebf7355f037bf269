// Prometheus' text exposition format, version 0.0.4: what a /metrics page consists of.
//
//   Exposition page;
//   Family jobs = page.family("lctl_jobs", Type::kGauge, "Jobs that have not ended, by state.");
//   jobs.sample({{"state", "queued"}}, 3);
//   page.text();
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace lctl::prometheus {

// Of Content-Type.
inline constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

enum class Type { kCounter, kGauge, kSummary };

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class Exposition;

// The samples of one metric, with different labels. Usable until the next family is begun.
class Family {
 public:
  // Label values are escaped, and bytes that are not UTF-8 replaced by '?'. NaN and infinities are
  // values too.
  void sample(Labels labels, double value);
  // Exact beyond 2^53.
  void sample(Labels labels, std::uint64_t value);
  void sample(Labels labels, int value) { sample(labels, static_cast<double>(value)); }

  // Of a summary without quantiles: name_sum and name_count.
  void summary(Labels labels, double sum, std::uint64_t count);

 private:
  friend class Exposition;
  Family(std::string& text, std::string name) : text_(text), name_(std::move(name)) {}
  void line(std::string_view suffix, Labels labels, std::string_view value);

  std::string& text_;
  const std::string name_;
};

// Collects the page. Names and label names are ours, so one that the format does not allow, or that
// is used twice, is a broken invariant; also a counter that does not end in _total.
// Thread rule: caller locks.
class Exposition {
 public:
  // All samples of a metric stand together: call it once for each. `help` is one line for people.
  Family family(std::string_view name, Type type, std::string_view help);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace lctl::prometheus
