// A regular expression as users write it: RE2's syntax. Matching takes time linear in the text,
// whatever the expression, so a pattern from outside can stall nobody.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace lctl {

// Thread rule: immutable.
class Pattern {
 public:
  // A text that is no regular expression matches nothing; see pattern_problem().
  explicit Pattern(std::string_view text);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  // Somewhere in the text, which need not be UTF-8.
  bool is_in(std::string_view text) const;

 private:
  std::unique_ptr<const re2::RE2> expression_;
};

// Why the text is no regular expression that can be used: "missing ): (abc"; "" = it is one.
std::string pattern_problem(std::string_view text);

}  // namespace lctl
