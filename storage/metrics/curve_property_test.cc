// However points came, in whatever batches and steps: a read gives what sorting all of them gives,
// and a drawing of blocks is the drawing of their points.
#include <cmath>
#include <limits>
#include <tuple>

#include "storage/metrics/downsample.h"
#include "storage/testing/store_fixture.h"
// After gtest, which it needs.
#include <rapidcheck/gtest.h>

namespace lctl::storage {
namespace {

struct Logged {
  std::int64_t step = 0;
  AttemptNumber attempt = 0;
  std::int64_t record = 0;
  double value = 0;
};

double any_value() {
  switch (*rc::gen::inRange(0, 12)) {
    case 0:
      return std::nan("");
    case 1:
      return std::numeric_limits<double>::infinity();
    case 2:
      return -std::numeric_limits<double>::infinity();
    default:
      return *rc::gen::inRange(-50, 50);
  }
}

bool same(const std::vector<MetricPoint>& a, const std::vector<MetricPoint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return std::tie(x.step, x.epoch, x.time_us, x.attempt) ==
               std::tie(y.step, y.epoch, y.time_us, y.attempt) &&
           (x.value == y.value || (std::isnan(x.value) && std::isnan(y.value)));
  });
}

std::vector<MetricPoint> in_order(std::vector<Logged> logged, std::int64_t from, std::int64_t to) {
  std::sort(logged.begin(), logged.end(), [](const Logged& a, const Logged& b) {
    return std::tie(a.step, a.attempt, a.record) < std::tie(b.step, b.attempt, b.record);
  });
  std::vector<MetricPoint> points;
  for (const Logged& point : logged) {
    if (point.step < from || point.step >= to) continue;
    const SpooledEvent record = metric_record(0, point.step, point.value);
    points.push_back({.step = point.step,
                      .epoch = record.event.metrics().epoch(),
                      .time_us = record.event.time_us(),
                      .value = point.value,
                      .attempt = point.attempt});
  }
  return points;
}

std::vector<MetricPoint> thinned(const std::vector<MetricPoint>& points, int max_points) {
  Downsampler downsampler(static_cast<std::int64_t>(points.size()), max_points);
  for (const MetricPoint& point : points) downsampler.add(point);
  return downsampler.finish();
}

RC_GTEST_PROP(CurveProperty, ReadsWhatWasWritten, ()) {
  static PropertyStore property;
  Store& store = property.store();
  const JobId job = add_job(store, random_id(10));
  const bool goes_back = *rc::gen::arbitrary<bool>();
  std::vector<Logged> all;
  std::vector<Logged> newest;
  const AttemptNumber attempts = *rc::gen::inRange(1, 3);
  for (AttemptNumber attempt = 1; attempt <= attempts; ++attempt) {
    start_attempt(store, job, attempt);
    newest.clear();
    std::int64_t step = *rc::gen::inRange<std::int64_t>(0, 20);
    std::int64_t record = 0;
    const std::vector<int> batches =
        *rc::gen::resize(6, rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 900)));
    for (const int size : batches) {
      const std::int64_t first = record;
      std::vector<SpooledEvent> records;
      for (int i = 0; i < size; ++i, ++record) {
        // A few draws decide: one for every point would take most of the test's time.
        const double value = i % 16 == 0 ? any_value() : static_cast<double>((record * 37) % 101);
        records.push_back(
            metric_record(static_cast<std::uint64_t>(record) * kRecordBytes, step, value));
        newest.push_back({step, attempt, record, value});
        step += goes_back && i % 50 == 0 ? *rc::gen::inRange(-30, 30) : i % 2;
      }
      RC_ASSERT(store.events()
                    .apply({{job, attempt}, 0, StreamKind::kEvents},
                           static_cast<std::uint64_t>(first) * kRecordBytes,
                           static_cast<std::uint64_t>(record) * kRecordBytes, records)
                    .ok());
    }
    all.insert(all.end(), newest.begin(), newest.end());
  }
  RC_PRE(!newest.empty());

  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  const auto read = [&](MetricQuery query) {
    query.job = job;
    query.key = "train/loss";
    return *store.metrics().read(query);
  };
  RC_ASSERT(same(read({.from_step = -1000}), in_order(newest, -1000, kEnd)));
  RC_ASSERT(
      same(read({.from_step = -1000, .include_superseded = true}), in_order(all, -1000, kEnd)));
  RC_ASSERT(same(read({.from_step = 7, .to_step = 300}), in_order(newest, 7, 300)));
  for (const int pixels : {4, 10, 100}) {
    RC_ASSERT(same(read({.from_step = -1000, .max_points = pixels}),
                   thinned(in_order(newest, -1000, kEnd), pixels)));
    RC_ASSERT(same(read({.from_step = -1000, .max_points = pixels, .include_superseded = true}),
                   thinned(in_order(all, -1000, kEnd), pixels)));
  }
  const auto summaries = *store.metrics().summaries(job);
  const std::vector<MetricPoint> curve = in_order(newest, -1000000, kEnd);
  RC_ASSERT(summaries.size() == 1);
  RC_ASSERT(summaries[0].points == static_cast<std::int64_t>(curve.size()));
  RC_ASSERT(same({summaries[0].last}, {curve.back()}));
  double smallest = std::numeric_limits<double>::quiet_NaN();
  for (const MetricPoint& point : curve) {
    if (std::isfinite(point.value) && !(smallest <= point.value)) smallest = point.value;
  }
  RC_ASSERT(summaries[0].min == smallest || (std::isnan(summaries[0].min) && std::isnan(smallest)));
}

}  // namespace
}  // namespace lctl::storage
