#include "tests/simulation/simulated_rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;

constexpr int kExitStopped = 75;
constexpr int kExitBrokenGang = 1;
constexpr int kExitBadSpec = 2;
constexpr int kExitKilled = 137;
constexpr std::int64_t kCheckpointEvery = 2;  // steps

v1::Finished::Outcome outcome_of(int code) {
  if (code == 0) return v1::Finished::OUTCOME_SUCCEEDED;
  if (code == kExitStopped) return v1::Finished::OUTCOME_STOPPED;
  return code == kExitBadSpec ? v1::Finished::OUTCOME_BAD_SPEC : v1::Finished::OUTCOME_FAILED;
}

}  // namespace

std::string SimulatedRank::content_of(const AttemptId& attempt, std::int64_t step) {
  return fmt::format("{} the state of {}", step, attempt.str());
}

std::int64_t SimulatedRank::step_of(const std::string& content) { return std::stoll(content); }

void SimulatedRank::later(Duration delay, void (SimulatedRank::*step)()) {
  options_.queue.after(delay, [self = shared_from_this(), step] {
    if (self->running_) ((*self).*step)();
  });
}

void SimulatedRank::start() {
  running_ = true;
  options_.folder.started = true;
  options_.rendezvous.arrive(options_.attempt);
  v1::Event event;
  event.mutable_ready()->set_rank(options_.rank);
  event.mutable_ready()->set_world_size(options_.world);
  event.mutable_ready()->set_resumed_at_step(step_);
  append(std::move(event));
  later(milliseconds(10), &SimulatedRank::work);
}

// Collectives: nobody trains alone.
void SimulatedRank::work() {
  if (stopping_) return;
  if (options_.rendezvous.broken(options_.attempt)) {
    if (options_.fate.hangs_when_broken) return;
    end(kExitBrokenGang, true);
  } else if (!options_.rendezvous.complete(options_.attempt, options_.world)) {
    later(milliseconds(100), &SimulatedRank::work);
  } else {
    train();
  }
}

void SimulatedRank::train() {
  if (step_ == options_.fate.at_step) {
    end(options_.fate.exit_code, options_.fate.exit_code < 128);
    return;
  }
  if (step_ >= options_.steps) {
    end(0, true);
    return;
  }
  if (options_.rank == 0) {
    v1::Event event;
    event.mutable_metrics()->set_step(step_);
    event.mutable_metrics()->add_keys("loss");
    event.mutable_metrics()->add_values(Invariants::value_at(step_));
    append(std::move(event));
    print(fmt::format("step {} of {}\n", step_, options_.attempt.str()));
  }
  ++step_;
  if (options_.rank == 0) {
    v1::Event event;
    event.mutable_progress()->set_global_step(step_);
    event.mutable_progress()->set_time_us(unix_micros(options_.queue.wall_now()));
    append(std::move(event));
    if (step_ % kCheckpointEvery == 0) save_checkpoint(v1::CHECKPOINT_KIND_RECOVERY);
  }
  later(options_.random.between(milliseconds(50), milliseconds(900)), &SimulatedRank::work);
}

// The file is complete before anybody hears of it.
void SimulatedRank::save_checkpoint(v1::CheckpointKind kind) {
  v1::CheckpointWritten written;
  written.set_file(fmt::format("{}-{}.ckpt", static_cast<int>(kind), step_));
  written.set_name(written.file());
  written.set_global_step(step_);
  written.set_kind(kind);
  written.set_spool_offset(options_.folder.spool_end());
  std::string content = content_of(options_.attempt, step_);
  written.set_size(static_cast<std::int64_t>(content.size()));
  options_.folder.stage[written.file()] = {written, std::move(content)};
  v1::Event event;
  *event.mutable_checkpoint() = std::move(written);
  append(std::move(event));
}

void SimulatedRank::append(v1::Event event) {
  event.set_time_us(unix_micros(options_.queue.wall_now()));
  RankFolder& folder = options_.folder;
  v1::SpooledEvent record;
  record.set_offset(folder.spool_end());
  record.set_event(event.SerializeAsString());
  record.set_end_offset(record.offset() + 8 + record.event().size());
  Invariants::Written& written = options_.invariants.written(options_.attempt, options_.rank);
  written.events_end = record.end_offset();
  if (event.has_metrics()) {
    written.points.emplace_back(record.end_offset(), event.metrics().step());
  }
  folder.spool.push_back(std::move(record));
  options_.on_output();
}

void SimulatedRank::print(const std::string& line) {
  options_.folder.output += line;
  options_.invariants.written(options_.attempt, options_.rank).output += line;
  options_.on_output();
}

void SimulatedRank::terminate() {
  if (!running_ || std::exchange(stopping_, true) || options_.fate.hangs_on_stop) return;
  options_.queue.after(options_.random.between(milliseconds(5), milliseconds(1500)),
                       [self = shared_from_this()] {
                         if (!self->running_) return;
                         if (self->options_.rank == 0) {
                           self->save_checkpoint(v1::CHECKPOINT_KIND_STOP);
                         }
                         self->end(kExitStopped, true);
                       });
}

void SimulatedRank::kill() { end(kExitKilled, false); }

void SimulatedRank::end(int code, bool with_last_words) {
  if (!running_) return;
  if (with_last_words) {
    v1::Event event;
    event.mutable_finished()->set_outcome(outcome_of(code));
    event.mutable_finished()->set_message(code == 0 ? "" : fmt::format("ended with {}", code));
    event.mutable_finished()->set_global_step(step_);
    append(std::move(event));
  }
  options_.folder.exit = code;
  power_off();
  options_.on_end();
}

void SimulatedRank::power_off() {
  if (!std::exchange(running_, false)) return;
  options_.trace.add(
      options_.queue.elapsed(),
      fmt::format("rank {} of {} has ended at step {} ({})", options_.rank, options_.attempt.str(),
                  step_, options_.folder.exit ? *options_.folder.exit : -1));
  options_.invariants.process_ended(options_.attempt, options_.rank);
  if (options_.folder.exit != 0) options_.rendezvous.break_up(options_.attempt);
}

}  // namespace lctl::simulation
