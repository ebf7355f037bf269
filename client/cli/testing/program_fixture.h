// Runs lctl's command lines in memory against a fake server.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <sstream>
#include <stop_token>
#include <string>
#include <vector>

#include "client/cli/program.h"
#include "client/testing/fake_server.h"

namespace lctl::cli {

// Ctrl-C at the test's command. Thread rule: internally locked.
class FakeInterrupts final : public Interrupts {
 public:
  std::stop_token first() override { return first_.get_token(); }
  std::stop_token second() override { return second_.get_token(); }
  void press() {
    if (!first_.request_stop()) second_.request_stop();
  }

 private:
  std::stop_source first_;
  std::stop_source second_;
};

// Time stands still at 2023-11-14 22:13:20 UTC.
class FakeClock final : public Clock {
 public:
  static constexpr std::int64_t kNow = 1'700'000'000'000'000;
  WallTime wall_now() const override { return from_unix_micros(kNow); }
  MonotonicTime monotonic_now() const override { return MonotonicTime(Duration(0)); }
};

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

class ProgramTest : public testing::Test {
 protected:
  ProgramTest() { variables_["LCTL_SERVER"] = server_.address(); }

  Outcome run(const std::vector<std::string>& arguments) {
    std::ostringstream out;
    std::ostringstream err;
    std::istringstream in(input_);
    Environment environment{.out = out,
                            .err = err,
                            .out_look = look_,
                            .err_look = look_,
                            .variable = [this](const char* name) -> std::optional<std::string> {
                              const auto found = variables_.find(name);
                              if (found == variables_.end()) return std::nullopt;
                              return found->second;
                            },
                            .clock = clock_,
                            .interrupts = interrupts_,
                            .user_at_host = "me@here",
                            .client_options = {.first_patience = std::chrono::milliseconds(50),
                                               .backoff_first = std::chrono::milliseconds(5),
                                               .backoff_limit = std::chrono::milliseconds(20)},
                            .in = in};
    const int code = run_program(arguments, environment);
    return {code, out.str(), err.str()};
  }

  // A job that submit, list and status have something to say about.
  static v1::Job make_job(const std::string& id, const std::string& name, v1::JobState state) {
    v1::Job job;
    job.set_id(id);
    job.mutable_spec()->set_name(name);
    job.mutable_spec()->set_experiment("digits");
    job.mutable_spec()->set_priority(50);
    job.mutable_spec()->mutable_resources()->set_nodes(1);
    job.mutable_spec()->mutable_resources()->set_devices_per_node(2);
    job.mutable_spec()->mutable_resources()->set_accelerator("auto");
    job.set_state(state);
    job.set_attempt(1);
    job.set_submitted_us(FakeClock::kNow - 100'000'000);
    job.set_started_us(FakeClock::kNow - 90'000'000);
    job.set_submitted_by("me@here");
    job.mutable_progress()->set_global_step(1214);
    job.mutable_progress()->set_epoch(2);
    job.mutable_progress()->set_max_epochs(3);
    job.mutable_progress()->set_max_steps(-1);
    return job;
  }

  client::FakeServer server_;
  FakeInterrupts interrupts_;
  FakeClock clock_;
  Look look_;
  std::string input_;  // what a command reads
  std::map<std::string, std::string> variables_;
};

}  // namespace lctl::cli
