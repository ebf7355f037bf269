// However batches are cut, repeated, overlapped and reordered: every record ends up in the store
// once.
#include <numeric>
#include <random>

#include "base/clock.h"
#include "storage/testing/store_fixture.h"
// After gtest, which it needs.
#include <rapidcheck/gtest.h>

namespace lctl::storage {
namespace {

struct Slice {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

class ExactlyOnce : public PropertyStore {
 public:
  JobId new_job() {
    const JobId id = add_job(store(), random_id(10));
    start_attempt(store(), id, 1);
    return id;
  }
};

RC_GTEST_PROP(ExactlyOnceProperty, EventsInAnyOrderOfBatches, ()) {
  static ExactlyOnce once;
  const std::int64_t total = *rc::gen::inRange<std::int64_t>(1, 40);
  const auto slices = *rc::gen::container<std::vector<Slice>>(rc::gen::construct<Slice>(
      rc::gen::inRange<std::int64_t>(0, total), rc::gen::inRange<std::int64_t>(0, 12)));
  const JobId job = once.new_job();
  const StreamKey stream{{job, 1}, 0, StreamKind::kEvents};

  std::int64_t committed = 0;
  const auto send = [&](std::int64_t first, std::int64_t count) {
    count = std::min(count, total - first);
    const auto applied = once.store().events().apply(
        stream, static_cast<std::uint64_t>(first) * kRecordBytes,
        static_cast<std::uint64_t>(first + count) * kRecordBytes, metric_records(first, count));
    RC_ASSERT(applied.ok());
    if (first > committed) {
      RC_ASSERT(applied->result == Applied::Result::kGap);
    } else {
      RC_ASSERT(applied->result == Applied::Result::kOk);
      committed = std::max(committed, first + count);
    }
    RC_ASSERT(applied->committed_offset == static_cast<std::uint64_t>(committed) * kRecordBytes);
  };
  for (const Slice& slice : slices) send(slice.first, slice.count);
  while (committed < total) send(std::max<std::int64_t>(0, committed - 1), 5);

  std::vector<std::int64_t> expected(static_cast<std::size_t>(total));
  std::iota(expected.begin(), expected.end(), 0);
  RC_ASSERT(steps_of(once.store(), job) == expected);
}

RC_GTEST_PROP(ExactlyOnceProperty, TextInAnyOrderOfBatches, ()) {
  static ExactlyOnce once;
  const std::string text = *rc::gen::nonEmpty<std::string>();
  const auto slices = *rc::gen::container<std::vector<Slice>>(rc::gen::construct<Slice>(
      rc::gen::inRange<std::int64_t>(0, static_cast<std::int64_t>(text.size())),
      rc::gen::inRange<std::int64_t>(0, 30)));
  const JobId job = once.new_job();
  const StreamKey stream{{job, 1}, 0, StreamKind::kStdout};

  std::size_t committed = 0;
  const auto send = [&](std::size_t from, std::size_t count) {
    const auto applied = once.store().events().append_text(
        stream, from, std::string_view(text).substr(from, count), 1);
    RC_ASSERT(applied.ok());
    RC_ASSERT((applied->result == Applied::Result::kGap) == (from > committed));
    if (from <= committed) committed = std::max(committed, std::min(from + count, text.size()));
    RC_ASSERT(applied->committed_offset == committed);
  };
  for (const Slice& slice : slices) {
    send(static_cast<std::size_t>(slice.first), static_cast<std::size_t>(slice.count));
  }
  while (committed < text.size()) send(committed / 2, text.size());

  std::string stored;
  const auto page = once.store().events().read_text({.job = job});
  RC_ASSERT(page.ok());
  for (const auto& chunk : page->chunks) {
    RC_ASSERT(chunk.offset == stored.size());
    stored += chunk.text;
  }
  RC_ASSERT(stored == text);
}

}  // namespace
}  // namespace lctl::storage
