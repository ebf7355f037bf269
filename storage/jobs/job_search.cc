#include "storage/jobs/job_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/jobs/job_rows.h"
#include "storage/jobs/lineage.h"
#include "storage/jobs/provenance.h"
#include "storage/jobs/search_rows.h"
#include "storage/metrics/last_value.h"
#include "storage/search/filter_matching.h"
#include "storage/search/full_text.h"
#include "storage/search/known_tags.h"
#include "storage/search/state_words.h"

namespace lctl::storage {
namespace {

FoundValue text_value(std::string text) {
  if (text.empty()) return {};
  return {.text = std::move(text), .number = {}};
}

// 0 = never.
FoundValue time_value(std::int64_t us) {
  if (us == 0) return {};
  return {.text = {}, .number = static_cast<double>(us / 1'000)};
}

FoundValue count_value(std::int64_t count) {
  return {.text = {}, .number = static_cast<double>(count)};
}

// Jobs with a smaller number than ?3, newest first: of the experiments ?1 and in the states ?2
// (JSON lists), with the words ?4, of the origin ?5, deleted or not (?6); "[]", "[]", "", -1, -1
// for all.
constexpr char kCandidates[] =
    "SELECT number, id, name, experiment, state, attempt, restarts, submitted_us, started_us,"
    " finished_us, submitted_by FROM jobs WHERE"
    " (?1 = '[]' OR experiment IN (SELECT value FROM json_each(?1)))"
    " AND (?2 = '[]' OR state IN (SELECT value FROM json_each(?2))) AND number < ?3"
    " AND (?4 = '' OR number IN (SELECT rowid FROM job_texts WHERE job_texts MATCH ?4))"
    " AND (?5 = -1 OR origin = ?5) AND (?6 = -1 OR (deleted_us > 0) = ?6)"
    " ORDER BY number DESC";

// Its columns.
enum Column {
  kNumber,
  kId,
  kName,
  kExperiment,
  kState,
  kAttempt,
  kRestarts,
  kSubmitted,
  kStarted,
  kFinished,
  kUser
};

// One job's values, each read when it is asked for. Lives as long as the query stands on its row.
class JobValues {
 public:
  JobValues(Connection& connection, const Query& row)
      : connection_(connection), row_(row), number_(row.integer(kNumber)) {}

  absl::StatusOr<FoundValue> get(const SearchKey& key) {
    switch (key.kind) {
      case SearchKey::Kind::kAttribute:
        return attribute(key.attribute);
      case SearchKey::Kind::kTag:
        return tag(key.name);
      case SearchKey::Kind::kParameter:
        return parameter(key.name);
      case SearchKey::Kind::kMetric:
        return metric(key.name);
      case SearchKey::Kind::kOwn:
        return FoundValue{};  // of what is no job
    }
    return FoundValue{};
  }

 private:
  FoundValue attribute(Attribute attribute) {
    switch (attribute) {
      case Attribute::kId:
        return text_value(std::string(row_.text(kId)));
      case Attribute::kName:
        return text_value(std::string(row_.text(kName)));
      case Attribute::kExperiment:
        return text_value(std::string(row_.text(kExperiment)));
      case Attribute::kState:
        return state();
      case Attribute::kUser:
        return text_value(std::string(row_.text(kUser)));
      case Attribute::kNote:
        return text_value(read_note(connection_, number_));
      case Attribute::kSubmitTime:
        return time_value(row_.integer(kSubmitted));
      case Attribute::kStartTime:
        return time_value(row_.integer(kStarted));
      case Attribute::kEndTime:
        return time_value(row_.integer(kFinished));
      case Attribute::kAttempt:
        return count_value(row_.integer(kAttempt));
      case Attribute::kRestarts:
        return count_value(row_.integer(kRestarts));
    }
    return {};
  }

  FoundValue state() const {
    return text_value(state_name(row_.enumeration<v1::JobState>(kState)));
  }

  // A tag that is set to "" is there.
  FoundValue tag(const std::string& key) {
    if (key == kNameTag) return attribute(Attribute::kName);
    if (key == kNoteTag) return attribute(Attribute::kNote);
    Query query = connection_.query("SELECT value FROM job_tags WHERE job = ?1 AND key = ?2");
    query.bind(number_, key);
    if (query.step()) return {.text = std::string(query.text(0)), .number = {}};
    if (key != kCommitTag && key != kBranchTag && key != kRepositoryTag) return {};
    const Tags known = source_tags(connection_, number_);
    const auto found = known.find(key);
    if (found == known.end()) return {};
    return {.text = found->second, .number = {}};
  }

  static FoundValue parameter_of(const Query& query) {
    FoundValue found{.text = std::string(query.text(0)), .number = {}};
    if (!query.is_null(1)) found.number = query.real(1);
    return found;
  }

  // What the trainer reported, else the job file's key of that path, else the only one that ends
  // so.
  FoundValue parameter(const std::string& key) {
    {
      Query query = connection_.query(
          "SELECT text, number FROM job_parameters WHERE job = ?1 AND source IN (0, 1)"
          " AND key = ?2 ORDER BY source LIMIT 1");
      query.bind(number_, key);
      if (query.step()) return parameter_of(query);
    }
    Query query = connection_.query(
        "SELECT text, number FROM job_parameters WHERE job = ?1 AND source = 1"
        " AND substr(key, -length(?2)) = ?2 LIMIT 2");
    query.bind(number_, "." + key);
    if (!query.step()) return {};
    FoundValue found = parameter_of(query);
    return query.step() ? FoundValue{} : found;
  }

  absl::StatusOr<FoundValue> metric(const std::string& key) {
    if (!lineage_) {
      lineage_ = Lineage::load(connection_, {.number = number_, .attempt = row_.small(kAttempt)});
    }
    LCTL_ASSIGN_OR_RETURN(const std::optional<double> last,
                          last_value(connection_, number_, key, *lineage_));
    return FoundValue{.text = {}, .number = last};
  }

  Connection& connection_;
  const Query& row_;
  const std::int64_t number_;
  std::optional<Lineage> lineage_;
};

// Attributes first: they cost nothing, and most jobs need no more.
Filter cheapest_first(Filter filter) {
  std::stable_sort(filter.begin(), filter.end(), [](const Comparison& a, const Comparison& b) {
    const auto cost = [](const Comparison& comparison) {
      switch (comparison.key.kind) {
        case SearchKey::Kind::kAttribute:
        case SearchKey::Kind::kOwn:
          return 0;
        case SearchKey::Kind::kTag:
        case SearchKey::Kind::kParameter:
          return 1;
        case SearchKey::Kind::kMetric:
          return 2;
      }
      return 2;
    };
    return cost(a) < cost(b);
  });
  return filter;
}

absl::StatusOr<bool> fits(JobValues& values, const Filter& filter) {
  for (const Comparison& comparison : filter) {
    LCTL_ASSIGN_OR_RETURN(const FoundValue found, values.get(comparison.key));
    if (!holds(comparison, found)) return false;
  }
  return true;
}

// A job's place in an order.
struct Place {
  std::int64_t number = 0;
  std::vector<FoundValue> values;  // of the order's keys
};

absl::StatusOr<Place> place_of(JobValues& values, std::int64_t number,
                               const std::vector<Order>& order) {
  Place place{.number = number, .values = {}};
  for (const Order& one : order) {
    LCTL_ASSIGN_OR_RETURN(FoundValue found, values.get(one.key));
    place.values.push_back(std::move(found));
  }
  return place;
}

// Of equal ones the newer job first.
bool comes_before(const Place& a, const Place& b, const std::vector<Order>& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::weak_ordering by_key = compare(a.values[i], b.values[i], order[i].descending);
    if (by_key != 0) return by_key < 0;
  }
  return a.number > b.number;
}

// That of one job, whether or not it fits a filter.
absl::StatusOr<Place> place_of_job(Connection& connection, std::int64_t number,
                                   const std::vector<Order>& order) {
  Query row = connection.query(kCandidates);
  row.bind("[]", "[]", number + 1, "", -1, -1);
  if (!row.step() || row.integer(kNumber) != number)
    return absl::InternalError("a job went during a snapshot");
  JobValues values(connection, row);
  return place_of(values, number, order);
}

std::string json_list(const std::vector<std::string>& texts) {
  return nlohmann::json(texts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// For ?6 of kCandidates.
int wanted_of(Lifecycle lifecycle) {
  switch (lifecycle) {
    case Lifecycle::kActive:
      return 0;
    case Lifecycle::kDeleted:
      return 1;
    case Lifecycle::kAll:
      return -1;
  }
  return -1;
}

}  // namespace

absl::StatusOr<std::vector<std::int64_t>> find_jobs(Connection& connection,
                                                    const JobFilter& filter) {
  const std::vector<int> states(filter.states.begin(), filter.states.end());
  std::string words;
  if (!filter.search.empty()) {
    LCTL_ASSIGN_OR_RETURN(words, full_text_query(filter.search));
  }
  const bool ordered = !filter.order.empty();
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
  std::optional<Place> begin;
  if (!filter.before.empty()) {
    LCTL_ASSIGN_OR_RETURN(const JobRow before, require_job(connection, filter.before));
    if (ordered) {
      LCTL_ASSIGN_OR_RETURN(begin, place_of_job(connection, before.number, filter.order));
    } else {
      end = before.number;
    }
  }
  const Filter where = cheapest_first(filter.where);
  Query row = connection.query(kCandidates);
  row.bind(json_list(filter.experiments), fmt::format("[{}]", fmt::join(states, ",")), end, words,
           filter.origin ? static_cast<int>(*filter.origin) : -1, wanted_of(filter.lifecycle));
  const auto limit = static_cast<std::size_t>(filter.limit);
  std::vector<std::int64_t> numbers;
  std::vector<Place> places;
  while ((ordered || numbers.size() < limit) && row.step()) {
    JobValues values(connection, row);
    LCTL_ASSIGN_OR_RETURN(const bool fitting, fits(values, where));
    if (!fitting) continue;
    const std::int64_t number = row.integer(kNumber);
    if (!ordered) {
      numbers.push_back(number);
      continue;
    }
    LCTL_ASSIGN_OR_RETURN(Place place, place_of(values, number, filter.order));
    if (!begin || comes_before(*begin, place, filter.order)) places.push_back(std::move(place));
  }
  std::sort(places.begin(), places.end(),
            [&](const Place& a, const Place& b) { return comes_before(a, b, filter.order); });
  if (places.size() > limit) places.resize(limit);
  for (const Place& place : places) numbers.push_back(place.number);
  return numbers;
}

absl::StatusOr<std::vector<std::vector<FoundValue>>> find_values(Connection& connection,
                                                                 std::span<const std::string> jobs,
                                                                 std::span<const SearchKey> keys) {
  std::vector<Order> order;
  for (const SearchKey& key : keys) order.push_back({.key = key});
  std::vector<std::vector<FoundValue>> found;
  found.reserve(jobs.size());
  for (const std::string& id : jobs) {
    const std::optional<JobRow> job = find_job(connection, id);
    if (!job) {
      found.emplace_back(keys.size());
      continue;
    }
    LCTL_ASSIGN_OR_RETURN(Place place, place_of_job(connection, job->number, order));
    found.push_back(std::move(place.values));
  }
  return found;
}

}  // namespace lctl::storage
