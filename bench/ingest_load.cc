// What bench/ingest and bench/checkpoint measure of ours: metric points and checkpoints from a
// node's agent to committed rows.
//
// usage: ingest_load make DIR JOBS POINTS KEYS      a store with running jobs, and what their ranks
//                                                   would have written: POINTS each, KEYS a call
//        ingest_load agent DIR SERVER JOBS          the agent's forwarder sends it all; seconds
//        ingest_load latency DIR SERVER CALLS       a call every 10 ms until it is acknowledged;
//                                                   seconds: median, 99th percentile
//        ingest_load upload DIR SERVER FILE        a checkpoint of job 0; seconds until it is
//        committed,
//                                                  and the bytes that the store did not have
//        ingest_load fill DIR POINTS                one series, straight into a store
//        ingest_load read DIR PIXELS                that series, thinned out; seconds
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/seconds.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/event_store.h"
#include "storage/metrics/metric_store.h"
#include "storage/store.h"
#include "worker/agent/connection.h"
#include "worker/agent/forwarder.h"
#include "worker/agent/run_folder.h"
#include "worker/agent/upload.h"
#include "worker/spool/spool_writer.h"

namespace {

using lctl::bench::now;

namespace fs = std::filesystem;
using lctl::AttemptId;
using lctl::JobId;

constexpr int kBatch = 1'000;  // points of a transaction where there is no agent

template <typename T>
T value_of(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

void require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

AttemptId attempt_of(int job) { return {JobId(fmt::format("bench{:05}", job)), 1}; }

std::unique_ptr<lctl::storage::Store> open_store(const fs::path& dir) {
  return value_of(lctl::storage::Store::open({.dir = dir, .clock = lctl::system_clock()}));
}

void add_running_job(lctl::storage::Store& store, int number) {
  lctl::v1::Job job;
  job.set_id(attempt_of(number).job.str());
  job.mutable_spec()->set_name("bench");
  job.mutable_spec()->set_experiment("bench");
  job.set_state(lctl::v1::JOB_STATE_RUNNING);
  job.set_attempt(1);
  lctl::v1::Transition transition;
  transition.set_to(lctl::v1::JOB_STATE_RUNNING);
  lctl::v1::Attempt attempt;
  attempt.set_number(1);
  attempt.add_ranks()->set_state(lctl::v1::RANK_STATE_RUNNING);
  value_of(store.jobs().create({.job = job, .transition = transition}, ""));
  const lctl::storage::JobChange change{.job = job, .transition = {}, .attempt = attempt};
  require(store.jobs().record({&change, 1}));
}

lctl::v1::Event metrics(int step, int keys) {
  lctl::v1::Event event;
  event.set_time_us(1'700'000'000'000'000 + step * 1'000LL);
  lctl::v1::MetricPoints& points = *event.mutable_metrics();
  points.set_step(step);
  points.set_epoch(step / 100);
  for (int key = 0; key < keys; ++key) {
    points.add_keys(fmt::format("train/metric_{}", key));
    points.add_values(1.0 / (1 + step) + key);
  }
  return event;
}

void make(const fs::path& dir, int jobs, int points, int keys) {
  const auto store = open_store(dir / "store");
  for (int job = 0; job < jobs; ++job) {
    add_running_job(*store, job);
    const lctl::agent::RunFolder folder(dir / "node", attempt_of(job));
    fs::create_directories(folder.stage(0));
    const auto spool = value_of(lctl::spool::SpoolWriter::open({.file = folder.spool(0)}));
    for (int step = 0; step < points / keys; ++step) value_of(spool->append(metrics(step, keys)));
    require(spool->flush());
  }
}

double agent(const fs::path& dir, const std::string& server, int jobs) {
  std::mutex mutex;
  std::condition_variable changed;
  int forwarded = 0;
  const double start = now();
  lctl::agent::Forwarder forwarder(lctl::agent::make_channel(server),
                                   {.on_checkpoint = [](auto&&...) {},
                                    .on_forwarded =
                                        [&](const AttemptId&, int) {
                                          const std::lock_guard lock(mutex);
                                          ++forwarded;
                                          changed.notify_one();
                                        },
                                    .on_fenced =
                                        [](const AttemptId& attempt) {
                                          std::fprintf(stderr, "%s was fenced\n",
                                                       attempt.str().c_str());
                                          std::_Exit(1);
                                        }});
  for (int job = 0; job < jobs; ++job) {
    forwarder.add(attempt_of(job), 0, lctl::agent::RunFolder(dir / "node", attempt_of(job)), {});
    forwarder.process_ended(attempt_of(job), 0);
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return forwarded == jobs; });
  return now() - start;
}

// Of job 0, which must have nothing else to send. Offsets are on disk when they are acknowledged.
std::vector<double> latency(const fs::path& dir, const std::string& server, int calls) {
  using std::chrono::milliseconds;
  const lctl::agent::RunFolder folder(dir / "node", attempt_of(0));
  lctl::agent::Forwarder forwarder(lctl::agent::make_channel(server),
                                   {.on_checkpoint = [](auto&&...) {},
                                    .on_forwarded = [](auto&&...) {},
                                    .on_fenced = [](auto&&...) {}});
  const auto spool = value_of(lctl::spool::SpoolWriter::open({.file = folder.spool(0)}));
  forwarder.add(attempt_of(0), 0, folder, {});
  std::vector<double> seconds;
  for (int call = 0; call < calls; ++call) {
    const double start = now();
    const std::uint64_t end = value_of(spool->append(metrics(call, 10)));
    while (folder.offsets(0).events < end) std::this_thread::sleep_for(milliseconds(1));
    seconds.push_back(now() - start);
    std::this_thread::sleep_for(milliseconds(10));
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

std::pair<double, std::int64_t> upload(const fs::path& dir, const std::string& server,
                                       const fs::path& file) {
  const fs::path staged = dir / "staged.ckpt";  // it is removed once it is stored
  fs::create_hard_link(file, staged);
  lctl::agent::Upload checkpoint{.attempt = attempt_of(0), .file = staged};
  checkpoint.written.set_file("staged.ckpt");
  checkpoint.written.set_name(file.filename().string());
  checkpoint.written.set_kind(lctl::v1::CHECKPOINT_KIND_MODEL);
  checkpoint.written.set_size(static_cast<std::int64_t>(fs::file_size(file)));
  const auto channel = lctl::agent::make_channel(server);
  std::promise<absl::Status> done;
  const double start = now();
  lctl::agent::Uploader uploader(
      channel,
      [&](const lctl::agent::Upload&, const absl::Status& status) { done.set_value(status); });
  uploader.add(checkpoint);
  require(done.get_future().get());
  const double seconds = now() - start;

  grpc::ClientContext context;
  lctl::v1::ListCheckpointsRequest request;
  lctl::v1::ListCheckpointsResponse response;
  request.set_job_id(attempt_of(0).job.str());
  const auto stub = lctl::v1::Checkpoints::NewStub(channel);
  if (!stub->List(&context, request, &response).ok() || response.checkpoints().empty())
    throw std::runtime_error("the checkpoint is not in the store");
  return {seconds, response.checkpoints().rbegin()->stored_bytes()};
}

void fill(const fs::path& dir, int points) {
  const auto store = open_store(dir / "store");
  add_running_job(*store, 0);
  const lctl::storage::StreamKey stream{attempt_of(0), 0, lctl::storage::StreamKind::kEvents};
  for (int step = 0; step < points;) {
    const auto from = static_cast<std::uint64_t>(step) + 1;
    std::vector<lctl::storage::SpooledEvent> events;
    for (int i = 0; i < kBatch && step < points; ++i, ++step) {
      const auto offset = static_cast<std::uint64_t>(step) + 1;
      events.push_back({offset, offset + 1, metrics(step, 1)});
    }
    value_of(store->events().apply(stream, from == 1 ? 0 : from,
                                   static_cast<std::uint64_t>(step) + 1, events));
  }
}

double read(const fs::path& dir, int pixels) {
  const auto store = open_store(dir / "store");
  const double start = now();
  const auto points = value_of(store->metrics().read(
      {.job = attempt_of(0).job, .key = "train/metric_0", .max_points = pixels}));
  if (points.size() < static_cast<std::size_t>(pixels) / 2)
    throw std::runtime_error("too few points came");
  return now() - start;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    const auto number = [&](std::size_t word) { return std::stoi(words.at(word)); };
    const std::string what = words.empty() ? "" : words[0];
    if (what == "make") {
      make(words.at(1), number(2), number(3), number(4));
    } else if (what == "agent") {
      std::printf("%.6f\n", agent(words.at(1), words.at(2), number(3)));
    } else if (what == "latency") {
      const std::vector<double> seconds = latency(words.at(1), words.at(2), number(3));
      std::printf("%.6f %.6f\n", seconds[seconds.size() / 2], seconds[seconds.size() * 99 / 100]);
    } else if (what == "upload") {
      const auto [seconds, bytes] = upload(words.at(1), words.at(2), words.at(3));
      std::printf("%.6f %jd\n", seconds, static_cast<std::intmax_t>(bytes));
    } else if (what == "fill") {
      fill(words.at(1), number(2));
    } else if (what == "read") {
      std::printf("%.6f\n", read(words.at(1), number(2)));
    } else {
      throw std::runtime_error("usage: see the top of bench/ingest_load.cc");
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ingest_load: %s\n", error.what());
    return 1;
  }
}
