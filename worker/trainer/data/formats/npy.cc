#include "worker/trainer/data/formats/npy.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/npy_descr.h"

namespace lctl {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy itself trusts 10,000 characters at most.
constexpr std::size_t kMaxHeader = 1 << 16;

// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
class HeaderText {
 public:
  HeaderText(std::string_view text, std::size_t first_byte, const std::string& name)
      : text_(text), first_byte_(first_byte), name_(name) {}

  ArrayLayout layout() {
    ArrayLayout layout;
    bool descr = false;
    bool order = false;
    bool shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr" && !std::exchange(descr, true)) {
        if (peek() != '\'' && peek() != '"') fail(structured_refusal(text_.substr(at_, 60)));
        const NpyDescr numbers = parse_npy_descr(string());
        if (!numbers.refusal.empty()) fail(numbers.refusal);
        layout.dtype = numbers.dtype;
        layout.big_endian = numbers.big_endian;
      } else if (key == "fortran_order" && !std::exchange(order, true)) {
        layout.fortran_order = boolean();
      } else if (key == "shape" && !std::exchange(shape, true)) {
        layout.shape = tuple();
      } else {
        fail(fmt::format("the header's key {:?} is unknown or there twice", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    blanks();
    if (at_ != text_.size()) fail("something follows the header's closing brace");
    if (!descr || !order || !shape)
      fail("the header lacks one of 'descr', 'fortran_order' and 'shape'");
    return layout;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw BadSample(fmt::format("{}: {} (at byte {})", name_, why, first_byte_ + at_));
  }

  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t'))
      ++at_;
  }

  char peek() {
    blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool accept(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail(fmt::format("the header is damaged: '{}' is missing", wanted));
  }

  bool accept_word(std::string_view word) {
    blanks();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("the header is damaged: a string is missing");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("the header is damaged: a string does not end");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }

  bool boolean() {
    if (accept_word("True")) return true;
    if (!accept_word("False")) fail("the header is damaged: fortran_order is no bool");
    return false;
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> sizes;
    expect('(');
    while (!accept(')')) {
      blanks();
      std::int64_t size = 0;
      const char* start = text_.data() + at_;
      const auto [end, error] = std::from_chars(start, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail("the header's shape is damaged");
      at_ += static_cast<std::size_t>(end - start);
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // of Python 2
      sizes.push_back(size);
      if (!accept(',')) {
        if (sizes.size() == 1) fail("the header's shape is a number, not a tuple");
        expect(')');
        break;
      }
    }
    return sizes;
  }

  std::string_view text_;
  std::size_t first_byte_;
  const std::string& name_;
  std::size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view bytes, const std::string& name) {
  const auto fail = [&](const std::string& why, std::size_t at) {
    throw BadSample(fmt::format("{}: {} (at byte {})", name, why, at));
  };
  if (bytes.substr(0, kMagic.size()) != kMagic)
    fail("is no .npy file: the first bytes are not \\x93NUMPY", 0);
  const auto byte = [&](std::size_t at) -> std::size_t {
    if (at >= bytes.size()) fail("the header is cut off", bytes.size());
    return static_cast<unsigned char>(bytes[at]);
  };
  const std::size_t major = byte(6);
  if (major < 1 || major > 3 || byte(7) != 0)
    fail(fmt::format("format {}.{} is unknown; 1.0, 2.0 and 3.0 are", major, byte(7)), 6);
  std::size_t size = byte(8) | byte(9) << 8;
  if (major > 1) size |= byte(10) << 16 | byte(11) << 24;
  const std::size_t start = major > 1 ? 12 : 10;
  if (size > kMaxHeader) {
    fail(fmt::format("a header of {} bytes; more than {} are not read", size, kMaxHeader), 8);
  }
  if (size > bytes.size() - start) fail("the header is cut off", bytes.size());
  NpyHeader header;
  header.layout = HeaderText(bytes.substr(start, size), start, name).layout();
  header.data_offset = start + size;
  return header;
}

at::Tensor read_npy(const SharedBytes& file) {
  const NpyHeader header = parse_npy_header(file.view(), file.name());
  return tensor_over(file.part(header.data_offset, file.size() - header.data_offset, file.name()),
                     header.layout);
}

}  // namespace lctl
