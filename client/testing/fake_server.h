// A coordinator in memory, for tests of the client and the command line: it speaks the real gRPC
// contracts on a port of its own, keeps what it is told, and can be shut down and started again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/control.pb.h"
#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::client {

// Thread rule: internally locked.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();

  std::string address() const;  // "127.0.0.1:PORT", the same after a restart

  // Ends all calls and stops listening; what was kept stays.
  void shut_down();
  void start_again();

  // Adds a job (id, state, … as given; newest last added) or replaces the one of that id; watchers
  // see it.
  void put_job(const v1::Job& job);
  void put_environment(const std::string& job, const v1::SharedEnvironment& environment);
  void put_attempt(const std::string& job_id, const v1::Attempt& attempt);
  void put_transition(const std::string& job_id, const v1::Transition& transition);
  void put_node(const v1::Node& node);
  void put_point(const std::string& job_id, const std::string& key, const v1::MetricPoint& point);
  // Appends to a captured stream; followers see it.
  void put_log(const std::string& job_id, int attempt, int rank, std::string_view text,
               bool error_stream = false);
  // A checkpoint whose file is `content`.
  void put_checkpoint(const v1::Checkpoint& checkpoint, const std::string& content);
  // Each download stream breaks after this many bytes; 0 = never.
  void break_downloads_after(std::int64_t bytes);
  // What a download says its SHA-256 is, whatever it sends.
  void corrupt_downloads();
  void put_finding(const std::string& finding);  // of checks and backups
  void set_page_jobs(int jobs);  // List answers with so many at a time; 0 = with all
  // What List has of values, whatever was asked to be shown; of jobs without an entry nothing.
  void set_values(std::vector<std::string> shown, std::map<std::string, v1::JobValues> of_jobs);

  // What was asked.
  std::vector<v1::SubmitRequest> submissions() const;
  std::vector<v1::StopJobRequest> stops() const;
  std::vector<v1::DrillRequest> drills() const;
  std::vector<v1::DrainNodeRequest> drains() const;
  // Searches and orders are kept here and not carried out; "refuse me" as `where` is refused.
  std::vector<v1::ListJobsRequest> lists() const;
  int calls(const std::string& method) const;  // "Watch", "Submit", …
  v1::Job job(const std::string& name) const;  // as Get finds it; empty when unknown

 private:
  struct Services;
  std::unique_ptr<Services> services_;
};

}  // namespace lctl::client
