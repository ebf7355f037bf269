// What a fuzz target defines. //bazel:fuzz.bzl makes two things of it: a test that tries the seeds
// and their neighbours, and with --config=fuzz a libFuzzer program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lctl::fuzz {

// Valid inputs, from which others are made.
std::vector<std::string> seeds();

}  // namespace lctl::fuzz

// Tries one input. Whatever the input is, this returns: an input that is refused is as good as one
// that is understood, a crash, a hang or a sanitizer's report is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
