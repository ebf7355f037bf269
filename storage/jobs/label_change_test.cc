#include "storage/jobs/label_change.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::storage {
namespace {

using testing::HasSubstr;

std::string refusal(const LabelChange& change) {
  return std::string(message_of(check_change(change)));
}

TEST(LabelChangeTest, TagsAreRemovedThenSet) {
  const LabelChange change{.tags = {{"a", "new"}, {"c", ""}}, .removed_tags = {"b"}, .note = {}};
  ASSERT_TRUE(check_change(change).ok());
  EXPECT_EQ(*apply_change({{"a", "1"}, {"b", "2"}, {"d", "4"}}, change),
            (Tags{{"a", "new"}, {"c", ""}, {"d", "4"}}));
}

TEST(LabelChangeTest, BoundsAreThoseOfMlflow) {
  EXPECT_EQ(refusal({.tags = {{std::string(250, 'k'), std::string(8'000, 'v')}},
                     .removed_tags = {},
                     .note = std::string(8'000, 'n')}),
            "");
  EXPECT_THAT(refusal({.tags = {{std::string(251, 'k'), ""}}, .removed_tags = {}, .note = {}}),
              HasSubstr("has 251 bytes; 1 to 250 are expected"));
  EXPECT_THAT(refusal({.tags = {{"", ""}}, .removed_tags = {}, .note = {}}), HasSubstr("0 bytes"));
  EXPECT_THAT(refusal({.tags = {{"k", std::string(8'001, 'v')}}, .removed_tags = {}, .note = {}}),
              HasSubstr("the value of tag 'k' has 8001 bytes; at most 8000 are allowed"));
  EXPECT_THAT(refusal({.tags = {}, .removed_tags = {}, .note = std::string(8'001, 'n')}),
              HasSubstr("the note has 8001 bytes; at most 8000 are allowed"));
  EXPECT_THAT(refusal({.tags = {{"a\nb", ""}}, .removed_tags = {}, .note = {}}),
              HasSubstr("the key of tag 'a?b' has a control character"));
  EXPECT_THAT(refusal({.tags = {{"a", ""}}, .removed_tags = {"a"}, .note = {}}),
              HasSubstr("tag 'a' is to be set and removed"));
}

TEST(LabelChangeTest, RemovedTagMustBeThere) {
  const LabelChange change{.tags = {}, .removed_tags = {"x"}, .note = {}};
  const auto others = apply_change({{"a", "1"}, {"b", "2"}}, change);
  EXPECT_EQ(others.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(message_of(others.status()), "it has no tag 'x'; it has a, b");
  EXPECT_EQ(message_of(apply_change({}, change).status()), "it has no tag 'x'; it has none");
}

TEST(LabelChangeTest, JobHasABoundedNumberOfTagsAndKeepsWhatItHas) {
  Tags many;
  for (std::size_t i = 0; i < kMaxTagsOfJob; ++i) many.emplace("k" + std::to_string(i), "v");
  const LabelChange more{.tags = {{"one more", ""}}, .removed_tags = {}, .note = {}};
  EXPECT_THAT(std::string(message_of(apply_change(many, more).status())),
              HasSubstr("it would have 257 tags"));
  many.emplace("from the job file", "");
  EXPECT_TRUE(apply_change(many, {.tags = {}, .removed_tags = {"k1"}, .note = {}}).ok());
  const Tags large = {{"a", std::string(kMaxTagBytesOfJob, 'x')}};
  EXPECT_THAT(std::string(message_of(apply_change(large, more).status())),
              HasSubstr("of 262153 bytes together; at most 256 of 262144 are allowed"));
}

}  // namespace
}  // namespace lctl::storage
