#include "worker/trainer/data/bad_sample.h"

#include <fmt/format.h>

#include <new>
#include <stdexcept>

#include "worker/trainer/core/console.h"

namespace lctl {
namespace {

constexpr std::int64_t kSaidOneByOne = 5;

}  // namespace

void SkippedSamples::add(const std::string& why) {
  std::int64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = ++count_;
  }
  if (count <= kSaidOneByOne) console::warn(fmt::format("A bad sample is skipped: {}", why));
  if (count == kSaidOneByOne)
    console::warn("Further bad samples are skipped and counted, without a line for each.");
}

std::int64_t SkippedSamples::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

void handle_sample_error(const std::string& name, SkippedSamples* skipped) {
  const auto text = [&](const std::exception& error) {
    return fmt::format("{}: {}", name, error.what());
  };
  try {
    throw;
  } catch (const BadSample& error) {
    if (skipped == nullptr) throw BadSample(text(error));
    skipped->add(text(error));
  } catch (const MisconfigurationException& error) {
    throw MisconfigurationException(text(error));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const RunInterrupted&) {
    throw;
  } catch (const std::exception& error) {
    if (skipped == nullptr) throw std::runtime_error(text(error));
    skipped->add(text(error));
  }
}

void throw_nothing_left(std::size_t samples) {
  throw BadSample(
      fmt::format("all {} samples of a batch are bad; on_bad_sample: skip is for a few", samples));
}

}  // namespace lctl
