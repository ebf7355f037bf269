#include "storage/jobs/provenance.h"

#include <string_view>
#include <utility>

#include "proto/lctl/v1/event.pb.h"
#include "storage/search/known_tags.h"

namespace lctl::storage {
namespace {

template <typename Message>
bool parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

void write_source(Connection& connection, std::int64_t job, v1::SourceCode source) {
  const std::string diff = std::move(*source.mutable_diff());
  source.clear_diff();
  connection.query("INSERT INTO job_sources (job, source, diff) VALUES (?1, ?2, ?3)")
      .bind(job, Blob{source.SerializeAsString()}, Blob{diff})
      .run();
}

std::optional<v1::SourceCode> read_source(Connection& connection, std::int64_t job,
                                          bool with_diff) {
  Query query = connection.query("SELECT source, diff FROM job_sources WHERE job = ?1");
  query.bind(job);
  v1::SourceCode source;
  if (!query.step() || !parse(query.blob(0), source)) return std::nullopt;
  if (with_diff) source.set_diff(std::string(query.blob(1)));
  return source;
}

Tags source_tags(Connection& connection, std::int64_t job) {
  const auto source = read_source(connection, job, /*with_diff=*/false);
  if (!source) return {};
  Tags tags;
  const auto add = [&tags](std::string_view key, const std::string& value) {
    if (!value.empty()) tags.emplace(key, value);
  };
  add(kCommitTag, source->commit());
  add(kBranchTag, source->branch());
  add(kRepositoryTag, source->remote());
  return tags;
}

std::vector<ReportedEnvironment> read_environments(Connection& connection, std::int64_t job,
                                                   AttemptNumber attempt) {
  Query query = connection.query(
      "SELECT rank, ready FROM rank_reports WHERE job = ?1 AND attempt = ?2 AND ready IS NOT NULL"
      " ORDER BY rank");
  query.bind(job, attempt);
  std::vector<ReportedEnvironment> environments;
  while (query.step()) {
    v1::RankReady ready;
    if (!parse(query.blob(1), ready) || !ready.has_environment()) continue;
    environments.push_back({query.small(0), std::move(*ready.mutable_environment())});
  }
  return environments;
}

}  // namespace lctl::storage
