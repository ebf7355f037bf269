#include "worker/trainer/data/formats/csv_reader.h"

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "gmock/gmock.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> flat(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<float>(), whole.const_data_ptr<float>() + whole.numel()};
}

std::string refusal(std::string_view text, const CsvParsing& parsing = {}) {
  try {
    parse_csv(text, "a.csv", parsing);
    return "";
  } catch (const BadSample& error) {
    return error.what();
  }
}

TEST(CsvReaderTest, ReadsNumbersQuotesAndBothLineEnds) {
  const CsvTable table =
      parse_csv("a,\"b, c\",d\r\n1, 2.5 ,\"-3e1\"\r\nnan,inf,+4\n\"1\" ,.5,-5.\n\n", "a.csv");
  EXPECT_THAT(table.columns, ElementsAre("a", "b, c", "d"));
  const std::vector<float> values = flat(table.values);
  EXPECT_EQ(values[1], 2.5F);
  EXPECT_EQ(values[2], -30.0F);
  EXPECT_TRUE(std::isnan(values[3]));
  EXPECT_TRUE(std::isinf(values[4]));
  EXPECT_EQ(values[5], 4.0F);
  EXPECT_THAT(std::vector<float>(values.begin() + 6, values.end()), ElementsAre(1, 0.5F, -5));
}

TEST(CsvReaderTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(refusal("a,b\n1,2\n3,x\n"), "a.csv:3: column 'b': 'x' is not a number");
  EXPECT_EQ(refusal("a,b\n1,\n"), "a.csv:2: column 'b': an empty cell is not a number");
  EXPECT_EQ(refusal("a,b\n1, \"\" \n"), "a.csv:2: column 'b': an empty cell is not a number");
  EXPECT_EQ(refusal("a,b\n1,+-2\n"), "a.csv:2: column 'b': '+-2' is not a number");
  EXPECT_EQ(refusal("a,b\n1,2 3\n"), "a.csv:2: column 'b': '2 3' is not a number");
  EXPECT_EQ(refusal("a,b\n1,-\n"), "a.csv:2: column 'b': '-' is not a number");
  EXPECT_EQ(refusal("a,b\n1,1e999\n"),
            "a.csv:2: column 'b': '1e999' is beyond what a double can hold");
  EXPECT_EQ(refusal("a,b\n1\n"), "a.csv:2: 1 cells where the header has 2 columns");
  EXPECT_EQ(refusal("a,b\n1,2,3\n"), "a.csv:2: more cells than the header's 2 columns");
  EXPECT_EQ(refusal("a,b\n"), "a.csv:1: the file has a header but no data");
  EXPECT_EQ(refusal("a,b\n1,2\n", {.max_rows = 0}), "a.csv:1: the file has a header but no data");
  EXPECT_EQ(refusal(""), "a.csv:1: the file has no header line");
  EXPECT_EQ(refusal("a\n1\n\n2\n"), "a.csv:3: an empty line between rows");
}

TEST(CsvReaderTest, NotFiniteCellsAreBadWhenAsked) {
  EXPECT_EQ(refusal("a,b\n1,nan\n", {.finite = true}), "a.csv:2: column 'b': 'nan' is not finite");
  // A double that float32 cannot hold becomes infinite.
  EXPECT_EQ(refusal("a\n1e300\n", {.finite = true}), "a.csv:2: column 'a': '1e300' is not finite");
  EXPECT_EQ(refusal("a\n1e300\ninf\n"), "");
}

TEST(CsvReaderTest, BadRowsAreLeftOutAndCountedWhenAsked) {
  SkippedSamples skipped;
  const CsvTable table = parse_csv("a,b\n1,2\n,3\n4,x\n\n5,6,7\n8\n9,10\n11,nan\n12,13\n", "a.csv",
                                   {.finite = true, .skipped = &skipped});
  EXPECT_THAT(flat(table.values), ElementsAre(1, 2, 9, 10, 12, 13));
  EXPECT_EQ(skipped.count(), 6);
  EXPECT_THAT(table.skipped_lines, ElementsAre(3, 4, 5, 6, 7, 9));
  EXPECT_EQ(table.line_of(0), 2);
  EXPECT_EQ(table.line_of(1), 8);
  EXPECT_EQ(table.line_of(2), 10);
  EXPECT_EQ(refusal("a\nx\ny\n", {.skipped = &skipped}),
            "a.csv:2: every row is bad; skipping is for a few");
}

TEST(CsvReaderTest, OnlyTheFirstRowsAreReadWhenAsked) {
  EXPECT_THAT(flat(parse_csv("a\n1\n2\nx\n", "a.csv", {.max_rows = 2}).values), ElementsAre(1, 2));
  EXPECT_THAT(flat(parse_csv("a\n1\n2", "a.csv", {.max_rows = 7}).values), ElementsAre(1, 2));
}

TEST(CsvReaderTest, SpreadsheetsMarkIsNoPartOfTheFirstName) {
  EXPECT_THAT(parse_csv("\xEF\xBB\xBFx,y\n1,2\n", "a.csv").columns, ElementsAre("x", "y"));
}

TEST(CsvReaderTest, WideHeaderOverManyShortLinesAsksForLittleMemory) {
  // 250,000 columns times 250,000 lines would be 250 GB.
  std::string text(250'000, ',');
  text += '\n';
  for (int i = 0; i < 250'000; ++i) text += "1\n";
  EXPECT_EQ(refusal(text), "a.csv:2: 1 cells where the header has 250001 columns");
  SkippedSamples skipped;
  EXPECT_EQ(refusal("a,b\n1\n1\n1\n1\n1\n", {.skipped = &skipped}),
            "a.csv:2: every row is bad; skipping is for a few");
}

// float32 values that Python 3.11 and NumPy 2.4.6 give: numpy.float32(float(text)).
TEST(CsvReaderTest, CellsAreRoundedAsPythonRoundsThem) {
  const CsvTable table = parse_csv(
      "x\n0.1\n16777217\n0.30000000000000004\n1.000000059604644775390625\n123456789012345678\n"
      "4.9e-324\n-0.0\n3.4028235677973366e38\n999999999999999.9\n0.000001234567891\n",
      "a.csv");
  const std::vector<std::uint32_t> expected = {0x3dcccccd, 0x4b800000, 0x3e99999a, 0x3f800000,
                                               0x5bdb4da6, 0x00000000, 0x80000000, 0x7f800000,
                                               0x58635fa9, 0x35a5b36e};
  std::vector<std::uint32_t> bits(expected.size());
  std::memcpy(bits.data(), table.values.const_data_ptr<float>(), bits.size() * 4);
  EXPECT_EQ(bits, expected);
}

RC_GTEST_PROP(CsvReaderTest, WhatIsWrittenIsReadAgain, ()) {
  const auto bits = *rc::gen::nonEmpty<std::vector<std::uint64_t>>();
  std::string text = "x\n";
  std::vector<double> written;
  for (const std::uint64_t each : bits) {
    double value = 0;
    std::memcpy(&value, &each, sizeof(value));
    if (!std::isnormal(value)) value = static_cast<double>(each % 100000) / 1000;
    written.push_back(value);
    text += fmt::format("{}\n", value);
  }
  const std::vector<float> read = flat(parse_csv(text, "a.csv").values);
  RC_ASSERT(read.size() == written.size());
  for (std::size_t i = 0; i < read.size(); ++i)
    RC_ASSERT(read[i] == static_cast<float>(written[i]));
}

RC_GTEST_PROP(CsvReaderTest, PiecesOfAnySizeGiveTheSameTable, ()) {
  const auto cells = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("1", "-2.5", "x", "", "nan", "\"3\"", " 4 ", "1,2", "\r"));
  std::string text = "a,b\n0,0\n";
  for (std::size_t i = 0; i < cells.size(); ++i) text += cells[i] + (i % 2 == 0 ? "," : "\n");
  SkippedSamples one;
  const CsvTable whole = parse_csv(text, "a.csv", {.skipped = &one});
  SkippedSamples many;
  const auto size = *rc::gen::inRange<std::size_t>(1, 20);
  const CsvTable pieces = parse_csv(text, "a.csv", {.skipped = &many, .piece_size = size});
  RC_ASSERT(whole.values.sizes() == pieces.values.sizes());
  RC_ASSERT(flat(whole.values.nan_to_num(7)) == flat(pieces.values.nan_to_num(7)));
  RC_ASSERT(whole.skipped_lines == pieces.skipped_lines);
  RC_ASSERT(one.count() == many.count());
  const std::string error = refusal(text);
  RC_ASSERT(error == refusal(text, {.piece_size = size}));
}

class CsvFileTest : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const {
    return (std::filesystem::path(testing::TempDir()) / name).string();
  }
};

TEST_F(CsvFileTest, CompressedFilesReadTheSameAndDamageIsNoticed) {
  std::string text = "a,b\n";
  for (int i = 0; i < 1000; ++i) text += fmt::format("{},{}\n", i, 2 * i);
  std::ofstream(file("plain.csv")) << text;
  const std::string packed = file("packed.csv.gz");
  gzFile out = gzopen(packed.c_str(), "wb");
  ASSERT_GT(gzwrite(out, text.data(), static_cast<unsigned>(text.size())), 0);
  gzclose(out);
  EXPECT_TRUE(at::equal(read_csv(file("plain.csv")).values, read_csv(packed).values));
  std::filesystem::resize_file(packed, std::filesystem::file_size(packed) - 12);
  EXPECT_THROW(read_csv(packed), BadSample);
}

TEST_F(CsvFileTest, MissingFileIsNoBadSample) {
  try {
    read_csv("/nope/x.csv");
    FAIL();
  } catch (const BadSample&) {
    FAIL() << "it may be there in a minute";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nope/x.csv: cannot be opened: No such file"));
  }
}

}  // namespace
}  // namespace lctl
