#include "base/pattern.h"

#include <re2/re2.h>

namespace lctl {
namespace {

// Of one compiled expression: a small text can stand for a huge one ("(a{99}){99}").
constexpr std::int64_t kMaxMemory = 1 << 20;

std::unique_ptr<const re2::RE2> compile(std::string_view text) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  return std::make_unique<const re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
}

}  // namespace

Pattern::Pattern(std::string_view text) : expression_(compile(text)) {}
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::is_in(std::string_view text) const {
  return expression_->ok() &&
         RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *expression_);
}

std::string pattern_problem(std::string_view text) {
  const auto expression = compile(text);
  return expression->ok() ? "" : expression->error();
}

}  // namespace lctl
