#include "server/ingest/event_parsing.h"

#include <cmath>
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::ingest {
namespace {

using testing::HasSubstr;

absl::StatusOr<v1::Event> reparse(const std::function<void(v1::Event&)>& fill) {
  v1::Event event;
  fill(event);
  return parse_event(event.SerializeAsString());
}

void expect_refused(const std::function<void(v1::Event&)>& fill, const std::string& why) {
  const absl::Status status = reparse(fill).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << why;
  EXPECT_THAT(status.ToString(), HasSubstr(why));
}

TEST(ParseEventTest, GoodEventsComeThroughUnchanged) {
  const auto event = reparse([](v1::Event& e) {
    e.set_time_us(5);
    e.mutable_metrics()->set_step(3);
    e.mutable_metrics()->add_keys(std::string(512, 'k'));
    e.mutable_metrics()->add_values(std::nan(""));
  });
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->time_us(), 5);
  EXPECT_TRUE(std::isnan(event->metrics().values(0)));
}

TEST(ParseEventTest, BytesThatAreNoEventAreRefused) {
  EXPECT_EQ(parse_event("\xff\xff\xff").status().code(), absl::StatusCode::kInvalidArgument);
  // A key that is not UTF-8: field 3 (metrics), its field 3 (keys).
  EXPECT_FALSE(parse_event("\x1a\x03\x1a\x01\xff").ok());
}

TEST(ParseEventTest, UnknownKindOfANewerVersionIsAccepted) {
  const auto event = parse_event(std::string_view("\xaa\x06\x02hi", 5));
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->kind_case(), v1::Event::KIND_NOT_SET);
}

TEST(ParseEventTest, MetricsOutOfBoundsAreRefused) {
  const auto with_key = [](std::string key) {
    return [key](v1::Event& e) {
      e.mutable_metrics()->add_keys(key);
      e.mutable_metrics()->add_values(1);
    };
  };
  expect_refused(with_key(""), "has 0 bytes");
  expect_refused(with_key(std::string(513, 'k')), "has 513 bytes");
  expect_refused(with_key("a\nb"), "control character 0x0a");
  expect_refused([](v1::Event& e) { e.mutable_metrics()->add_values(1); }, "0 keys and 1 values");
  expect_refused([](v1::Event& e) { e.mutable_metrics()->set_step(-1); }, "step -1");
}

TEST(ParseEventTest, ProgressOutOfBoundsIsRefused) {
  expect_refused(
      [](v1::Event& e) {
        for (int i = 0; i < 1'001; ++i) {
          (*e.mutable_progress()->mutable_metrics())["m" + std::to_string(i)] = 1;
        }
      },
      "1001 metrics");
  expect_refused([](v1::Event& e) { e.mutable_progress()->set_stage(std::string(300, 's')); },
                 "300 bytes");
  expect_refused(
      [](v1::Event& e) {
        for (int i = 0; i < 101; ++i) e.mutable_progress()->mutable_data_loading()->add_changes();
      },
      "101 changes of loader workers");
  expect_refused(
      [](v1::Event& e) {
        e.mutable_progress()->mutable_data_loading()->add_changes()->set_reason(
            std::string(257, 'r'));
      },
      "reason of 257 bytes");
}

TEST(ParseEventTest, OtherOversizedTextsAreRefused) {
  expect_refused(
      [](v1::Event& e) { e.mutable_hyperparameters()->set_yaml(std::string((1 << 20) + 1, 'y')); },
      "hyperparameters of 1048577 bytes");
  expect_refused([](v1::Event& e) { e.mutable_checkpoint_removed(); }, "name has 0 bytes");
  expect_refused([](v1::Event& e) { e.mutable_ready()->set_device(std::string(257, 'd')); },
                 "device of 257 bytes");
}

TEST(ParseEventTest, LastWordsAreTidiedNotRefused) {
  const auto event = reparse([](v1::Event& e) {
    // 4,095 letters and then a character of two bytes: the cut falls inside it.
    e.mutable_finished()->set_message(std::string(4'095, 'm') + "\xc3\xa9 and more");
    e.mutable_finished()->set_parameters_sha256("not a hash");
  });
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->finished().message(), std::string(4'095, 'm'));
  EXPECT_EQ(event->finished().parameters_sha256(), "");
  const std::string hash(64, 'a');
  EXPECT_EQ(reparse([&](v1::Event& e) { e.mutable_finished()->set_parameters_sha256(hash); })
                ->finished()
                .parameters_sha256(),
            hash);
}

}  // namespace
}  // namespace lctl::ingest
