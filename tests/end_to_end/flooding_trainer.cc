// Stands in for lctl-trainer where only the way of its data matters: writes points, lines and
// checkpoints as fast as the store takes them, all of them computable, so that each can be looked
// for afterwards.
//
//   flooding_trainer fit --config FILE
//
// Every millisecond, step by step from 0: one call of kKeys metrics ("m0" and so on; the value is
// step + key / 16) and a line "step N". Every kStepsOfACheckpoint a checkpoint "c<N>.ckpt": a zip
// file of a tensor that never changes and two that do. On SIGTERM a stop checkpoint and the end;
// the numbers of steps and checkpoints go to the file $FLOOD_TRUTH.
#include <time.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "worker/agent/testing/zip_file.h"
#include "worker/spool/spool_writer.h"

namespace {

namespace fs = std::filesystem;
using lctl::v1::Event;

constexpr int kKeys = 20;
constexpr long kStepsOfACheckpoint = 250;
constexpr std::size_t kFrozenBytes = 5 << 20;
constexpr std::size_t kTrainedBytes = 1 << 19;

volatile std::sig_atomic_t asked_to_stop = 0;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "flooding_trainer: %s\n", why.c_str());
  std::exit(1);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) fail(std::string(name) + " is not set");
  return value;
}

std::string tensor(std::size_t bytes, long seed) {
  std::string content(bytes, '\0');
  auto state = static_cast<std::uint64_t>(seed) * 2'862'933'555'777'941'757U + 3'037'000'493U;
  for (char& byte : content) {
    state = state * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    byte = static_cast<char>(state >> 56);
  }
  return content;
}

class Flood {
 public:
  Flood() {
    auto opened = lctl::spool::SpoolWriter::open({.file = variable("LCTL_SPOOL")});
    if (!opened.ok()) fail(std::string(lctl::message_of(opened.status())));
    spool_ = *std::move(opened);
    frozen_ = tensor(kFrozenBytes, 0);
    Event event = now();
    event.mutable_ready()->set_world_size(1);
    append(event);
  }

  void run() {
    for (; asked_to_stop == 0; ++steps_) {
      step();
      if (steps_ % kStepsOfACheckpoint == 0)
        checkpoint("c" + std::to_string(checkpoints_++) + ".ckpt", lctl::v1::CHECKPOINT_KIND_MODEL);
      const timespec pause{0, 1'000'000};
      nanosleep(&pause, nullptr);
    }
    checkpoint("stop.ckpt", lctl::v1::CHECKPOINT_KIND_STOP);
    std::ofstream(variable("FLOOD_TRUTH")) << steps_ << " " << checkpoints_ << "\n";
    Event event = now();
    event.mutable_finished()->set_outcome(lctl::v1::Finished::OUTCOME_STOPPED);
    append(event);
    spool_.reset();
  }

 private:
  static Event now() {
    Event event;
    event.set_time_us(lctl::unix_micros(lctl::system_clock().wall_now()));
    return event;
  }

  void append(const Event& event) {
    const auto appended = spool_->append(event);
    if (!appended.ok()) fail(std::string(lctl::message_of(appended.status())));
  }

  void step() {
    Event event = now();
    auto& points = *event.mutable_metrics();
    points.set_step(steps_);
    for (int key = 0; key < kKeys; ++key) {
      points.add_keys("m" + std::to_string(key));
      points.add_values(static_cast<double>(steps_) + key / 16.0);
    }
    append(event);
    std::printf("step %ld\n", steps_);
    std::fflush(stdout);
  }

  void checkpoint(const std::string& name, lctl::v1::CheckpointKind kind) {
    const fs::path staged = fs::path(variable("LCTL_STAGE")) / name;
    const std::string content =
        lctl::agent::zip_file({{"archive/data.pkl", std::to_string(steps_)},
                               {"archive/byteorder", "little"},
                               {"archive/data/0", frozen_},
                               {"archive/data/1", tensor(kTrainedBytes, steps_)},
                               {"archive/data/2", tensor(kTrainedBytes, -steps_)}});
    std::ofstream out(staged.string() + ".tmp", std::ios::binary);
    if (!(out << content).flush()) fail("cannot write " + staged.string());
    out.close();
    fs::rename(staged.string() + ".tmp", staged);
    Event event = now();
    auto& written = *event.mutable_checkpoint();
    written.set_file(name);
    written.set_size(static_cast<std::int64_t>(content.size()));
    written.set_global_step(steps_);
    written.set_kind(kind);
    written.set_name("checkpoints/" + name);
    written.set_spool_offset(spool_->offset());
    append(event);
  }

  std::unique_ptr<lctl::spool::SpoolWriter> spool_;
  std::string frozen_;
  long steps_ = 0;
  long checkpoints_ = 0;
};

}  // namespace

int main() {
  std::signal(SIGTERM, [](int) { asked_to_stop = 1; });
  Flood().run();
  return 75;  // stopped on request (docs/formats/launch.md)
}
