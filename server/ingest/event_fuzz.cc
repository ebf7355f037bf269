// Events: what a worker sends on behalf of a rank.
#include <string>
#include <vector>

#include "server/ingest/event_parsing.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  const auto add = [&](auto fill) {
    v1::Event event;
    event.set_time_us(1'700'000'000'000'000);
    fill(event);
    all.push_back(event.SerializeAsString());
  };
  add([](v1::Event& event) {
    v1::MetricPoints& points = *event.mutable_metrics();
    points.set_step(3);
    points.add_keys("train/loss");
    points.add_values(0.25);
  });
  add([](v1::Event& event) {
    v1::CheckpointWritten& written = *event.mutable_checkpoint();
    written.set_file("a.ckpt");
    written.set_size(1000);
    written.set_name("checkpoints/a.ckpt");
    written.set_kind(v1::CHECKPOINT_KIND_MODEL);
  });
  add([](v1::Event& event) { event.mutable_log()->set_text("hello"); });
  add([](v1::Event& event) { event.mutable_hyperparameters()->set_yaml("lr: 0.1\n"); });
  add([](v1::Event& event) { event.mutable_finished()->set_message("done"); });
  add([](v1::Event& event) { event.mutable_ready()->set_world_size(2); });
  return all;
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto event = lctl::ingest::parse_event({reinterpret_cast<const char*>(data), size});
  if (!event.ok()) return 0;
  // What is accepted can be stored and read again.
  if (!lctl::ingest::parse_event(event->SerializeAsString()).ok()) __builtin_trap();
  return 0;
}
